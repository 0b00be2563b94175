/** The few things of a page that are not everywhere: each may be missing, and the client then does without. */

interface PageEvents {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

interface BrowserScope extends Partial<PageEvents> {
  readonly location?: { readonly href: string };
  readonly document?: PageEvents & { readonly visibilityState: string };
  readonly navigator?: {
    readonly locks?: {
      request(name: string, options: { readonly signal: AbortSignal }, callback: () => Promise<void>): Promise<void>;
    };
  };
  readonly EventSource?: typeof EventSource;
  readonly BroadcastChannel?: typeof BroadcastChannel;
}

export const scope = globalThis as unknown as BrowserScope;

/** Listens to the page, where there is one. @returns what ends it. */
export function onPageEvent(target: Partial<PageEvents> | undefined, type: string, listener: () => void): () => void {
  target?.addEventListener?.(type, listener);
  return () => target?.removeEventListener?.(type, listener);
}
