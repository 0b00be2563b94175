/**
 * Notices credential stuffing: one address that fails on many different accounts within the window of the address limit.
 * It refuses nobody, that is the throttle's work; each instance counts what it sees itself.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/clock.ts';
import { addressKey } from './client-address.ts';

/** A shared address of an office may have a few people with forgotten passwords in a quarter of an hour. */
export const SUSPECT_ACCOUNTS = 10;
const DEFAULT_WINDOW_MS = 15 * 60_000;
const MAX_ADDRESSES = 10_000;

export interface StuffingWatch {
  /** @returns how many accounts failed, once per address and window, when they have become many; else undefined. */
  noteFailure(account: string, ip: string): number | undefined;
}

interface Sighting {
  readonly startedAt: number;
  readonly accounts: Set<string>;
}

export function createStuffingWatch(clock: Clock, windowMs = DEFAULT_WINDOW_MS): StuffingWatch {
  const sightings = new LRUCache<string, Sighting>({ max: MAX_ADDRESSES });
  return {
    noteFailure(account, ip) {
      const key = addressKey(ip);
      const now = clock.now();
      const known = sightings.get(key);
      const sighting =
        known && now - known.startedAt < windowMs ? known : { startedAt: now, accounts: new Set<string>() };
      sightings.set(key, sighting);
      const { accounts } = sighting;
      if (accounts.size >= SUSPECT_ACCOUNTS) return undefined;
      accounts.add(account);
      return accounts.size === SUSPECT_ACCOUNTS ? accounts.size : undefined;
    },
  };
}
