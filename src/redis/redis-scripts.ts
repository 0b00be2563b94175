/** The Lua scripts, each on the keys of one session or one user only, so that they run on a Cluster too. */
import type { RedisKey } from 'ioredis';

/**
 * Writes a seal only if the version is still the one that was read: a session that ended meanwhile is not re-created.
 * Returns the new version, 0 where another writer was first, -1 where the session is gone.
 */
const replaceSeal = `
local version = redis.call('HGET', KEYS[1], 'v')
if not version then return -1 end
if version ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1] + 1, 's', ARGV[2], 'x', ARGV[3])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'f', ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.pcall('PUBLISH', ARGV[6], ARGV[7])
return ARGV[1] + 1
`;

/**
 * Puts another seal of the same contents in the place of the one that was read. The version stays: a refresh under way
 * that read it must still be written. Told like every write of a seal. Returns 0 where somebody wrote first or the session is gone.
 */
const resealSession = `
if redis.call('HGET', KEYS[1], 's') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 's', ARGV[2])
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1
`;

/** Moves the last activity forward, never back, and the expiry with it. Returns 0 where the session is gone. */
const touchSession = `
local last = redis.call('HGET', KEYS[1], 'l')
if not last then return 0 end
if tonumber(ARGV[1]) > tonumber(last) then
  redis.call('HSET', KEYS[1], 'l', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
`;

/** Remembers how a forced refresh ended, only on a session that lives. */
const noteForced = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'f', ARGV[1])
return 1
`;

/**
 * Removes a session, where ARGV[1] is a version only at that version, and tells every instance in the same step: an end
 * that was written is an end that was told. Returns 1 where it did.
 */
const endSession = `
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'v') ~= ARGV[1] then return 0 end
local removed = redis.call('DEL', KEYS[1])
if removed == 1 then redis.pcall('PUBLISH', ARGV[2], ARGV[3]) end
return removed
`;

/** Takes the oldest beyond ARGV[1] out of a user's index and returns them. */
const trimUser = `
local surplus = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[1])
if surplus <= 0 then return {} end
local oldest = redis.call('ZRANGE', KEYS[1], 0, surplus - 1)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, surplus - 1)
return oldest
`;

/** Adds a session to a user's index, whose life becomes the longest of its members'. */
const indexSession = `
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return redis.call('ZCARD', KEYS[1])
`;

/** Lengthens the lock's life, only for its owner. */
const renewLock = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`;

/** Gives the lock back, only for its owner: one that expired and was taken by another stays. */
const releaseLock = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`;

/**
 * Keeps a shared answer inside its part's budget: what has ended leaves the account first, then what ends soonest leaves
 * Redis. KEYS: the entry, the part's ends and sizes; the entries that are dropped share their slot.
 */
const keepShared = `
local total = tonumber(redis.call('HGET', KEYS[3], '') or 0)
local function forget(name)
  total = total - tonumber(redis.call('HGET', KEYS[3], name) or 0)
  redis.call('HDEL', KEYS[3], name)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[4], 'LIMIT', 0, 200)) do
  forget(name)
  redis.call('ZREM', KEYS[2], name)
end
forget(ARGV[2])
total = total + #ARGV[1]
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4] + ARGV[3], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], #ARGV[1])
while total > tonumber(ARGV[5]) do
  local soonest = redis.call('ZPOPMIN', KEYS[2])[1]
  if not soonest then total = 0 break end
  forget(soonest)
  redis.call('DEL', ARGV[6] .. soonest)
end
redis.call('HSET', KEYS[3], '', total)
for i = 2, 3 do
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
end
return total
`;

/** Takes a shared answer out of Redis and of its part's account. */
const dropShared = `
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
local size = tonumber(redis.call('HGET', KEYS[3], ARGV[1]) or 0)
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[3], '', -size)
return 1
`;

export const SCRIPTS = {
  replaceSeal: { lua: replaceSeal, keys: 1 },
  resealSession: { lua: resealSession, keys: 1 },
  touchSession: { lua: touchSession, keys: 1 },
  noteForced: { lua: noteForced, keys: 1 },
  endSession: { lua: endSession, keys: 1 },
  trimUser: { lua: trimUser, keys: 1 },
  indexSession: { lua: indexSession, keys: 1 },
  renewLock: { lua: renewLock, keys: 1 },
  releaseLock: { lua: releaseLock, keys: 1 },
  keepShared: { lua: keepShared, keys: 3 },
  dropShared: { lua: dropShared, keys: 3 },
} as const;

type Value = string | number;

/** The scripts as methods of the connection. */
export interface ScriptCommands {
  replaceSeal(
    key: RedisKey,
    version: Value,
    seal: string,
    absoluteEnd: Value,
    ttlMs: Value,
    forced: string,
    channel: string,
    message: string,
  ): Promise<number>;
  resealSession(key: RedisKey, read: string, seal: string, channel: string, message: string): Promise<number>;
  touchSession(key: RedisKey, lastSeenAt: Value, ttlMs: Value): Promise<number>;
  noteForced(key: RedisKey, forced: string): Promise<number>;
  endSession(key: RedisKey, onlyVersion: Value, channel: string, message: string): Promise<number>;
  trimUser(key: RedisKey, keep: Value): Promise<string[]>;
  indexSession(key: RedisKey, score: Value, member: string, ttlMs: Value): Promise<number>;
  renewLock(key: RedisKey, owner: string, ttlMs: Value): Promise<number>;
  releaseLock(key: RedisKey, owner: string): Promise<number>;
  keepShared(
    entry: RedisKey,
    ends: RedisKey,
    sizes: RedisKey,
    value: Buffer,
    name: string,
    ttlMs: Value,
    now: Value,
    budget: Value,
    prefix: string,
  ): Promise<number>;
  dropShared(entry: RedisKey, ends: RedisKey, sizes: RedisKey, name: string): Promise<number>;
}
