/** Listeners by the name of their event. A listener that throws keeps no other from being called. */
import { invalidUse } from './gateway-error.ts';

type Listener<T> = (value: T) => void;

export interface Emitter<Events> {
  /** @returns what takes the listener off again. @throws GatewayError `invalid_use` where it could never be called. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void;
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void;
  readonly isHeard: boolean;
}

/** @param names all there are: what is misspelt would wait for ever. */
export function createEmitter<Events>(names: readonly (keyof Events)[]): Emitter<Events> {
  const all = new Set<{ readonly name: keyof Events; readonly listener: Listener<never> }>();
  return {
    on(name, listener) {
      if (!names.includes(name) || typeof listener !== 'function')
        throw invalidUse(`on needs a function and one of ${names.join(', ')}.`);
      const entry = { name, listener };
      all.add(entry);
      return () => void all.delete(entry);
    },
    emit(name, value) {
      for (const entry of [...all]) {
        // Its mistake is the page's to see, after this turn.
        if (entry.name === name) callSafely(entry.listener as Listener<unknown>, value);
      }
    },
    get isHeard() {
      return all.size > 0;
    },
  };
}

function callSafely(listener: Listener<unknown>, value: unknown): void {
  try {
    listener(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
