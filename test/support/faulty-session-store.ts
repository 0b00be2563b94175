// A session store that counts its calls and fails or waits where a test says so.
import { GatewayError } from '../../src/kernel/errors.ts';
import type { SessionStore } from '../../src/session/session-store.ts';

type Method = keyof SessionStore;

export interface FaultySessionStore extends SessionStore {
  /** The methods called so far, in order. */
  readonly calls: Method[];
  /** From now on this method rejects with `store_unavailable`, or with `error`. */
  fail(method: Method, error?: Error): void;
  heal(): void;
  /** The next call of this method waits until the returned function is called. `reached` resolves when it has come. */
  hold(method: Method): { readonly reached: Promise<void>; release(): void };
}

export function createFaultySessionStore(inner: SessionStore): FaultySessionStore {
  const calls: Method[] = [];
  const failing = new Map<Method, Error>();
  const held = new Map<Method, () => Promise<void>>();

  const guarded =
    (method: Method, call: (...args: never[]) => Promise<unknown>) =>
    async (...args: never[]): Promise<unknown> => {
      calls.push(method);
      const wait = held.get(method);
      held.delete(method);
      await wait?.();
      const error = failing.get(method);
      if (error) throw error;
      return await call(...args);
    };

  const methods = Object.entries(inner) as [Method, (...args: never[]) => Promise<unknown>][];
  const guardedStore = Object.fromEntries(
    methods.map(([method, call]) => [method, guarded(method, call)]),
  ) as unknown as SessionStore;

  return {
    calls,
    fail(method, error = new GatewayError('store_unavailable', { retryAfterMs: 1_000 })) {
      failing.set(method, error);
    },
    heal: () => failing.clear(),
    hold(method) {
      const reached = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      held.set(method, () => {
        reached.resolve();
        return released.promise;
      });
      return { reached: reached.promise, release: released.resolve };
    },
    ...guardedStore,
    all: inner.all,
  };
}
