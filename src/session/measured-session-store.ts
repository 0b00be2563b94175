/** The same session store, with the time and the failures of each operation told. It changes no answer. */
import type { SessionStore } from './session-store.ts';

export interface StoreMeter {
  /** @param operation the name of a method of the store. */
  took(operation: string, ms: number, hasFailed: boolean): void;
  failed(operation: string): void;
}

export function createMeasuredSessionStore(store: SessionStore, meter: StoreMeter): SessionStore {
  const measured = async <T>(operation: string, call: Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    let hasFailed = false;
    try {
      return await call;
    } catch (error) {
      hasFailed = true;
      meter.failed(operation);
      throw error;
    } finally {
      meter.took(operation, performance.now() - startedAt, hasFailed);
    }
  };
  return {
    ...store,
    create: (session, ttlMs, keep) => measured('create', store.create(session, ttlMs, keep)),
    read: (hash) => measured('read', store.read(hash)),
    writeSeal: (hash, write) => measured('write_seal', store.writeSeal(hash, write)),
    reseal: (hash, read, seal) => measured('reseal', store.reseal(hash, read, seal)),
    touch: (hash, lastSeenAt, ttlMs) => measured('touch', store.touch(hash, lastSeenAt, ttlMs)),
    noteForced: (hash, forced) => measured('note_forced', store.noteForced(hash, forced)),
    end: (session, reason, onlyVersion) => measured('end', store.end(session, reason, onlyVersion)),
    listByUser: (userId) => measured('list', store.listByUser(userId)),
    ping: () => measured('ping', store.ping()),
  };
}
