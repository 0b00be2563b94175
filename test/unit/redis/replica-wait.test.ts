import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { RedisConnection } from '../../../src/redis/redis-client.ts';
import { createReplicaWait } from '../../../src/redis/replica-wait.ts';

let nowMs = 0;
beforeEach(() => {
  nowMs = 1_000;
  jest.spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => {
  jest.restoreAllMocks();
});

function setUp({ replicas = 1, reached = 1, isCluster = false, role = 'master' } = {}) {
  const calls: string[] = [];
  const state = { replicas, reached, failure: undefined as Error | undefined };
  const redis = {
    isCluster,
    role: async () => {
      calls.push('role');
      if (state.failure) throw state.failure;
      return [role, 1, Array(state.replicas).fill(['127.0.0.1', '1', '0'])];
    },
    wait: async (count: number, limitMs: number) => {
      calls.push(`wait ${count} ${limitMs}`);
      return state.reached;
    },
  } as unknown as RedisConnection;
  return { wait: createReplicaWait(redis), calls, state };
}

describe('createReplicaWait', () => {
  test('waits for one replica, shortly, after every write', async () => {
    const { wait, calls } = setUp();
    await wait();
    await wait();
    expect(calls).toEqual(['role', 'wait 1 50', 'wait 1 50']);
  });

  test('does not wait where there are none, and looks again every five seconds', async () => {
    const { wait, calls, state } = setUp({ replicas: 0 });
    await wait();
    state.replicas = 1;
    nowMs += 5_000;
    await wait();
    expect(calls).toEqual(['role']);
    nowMs += 1;
    await wait();
    expect(calls).toEqual(['role', 'role', 'wait 1 50']);
  });

  test('does not wait for one that lags, for five seconds', async () => {
    const { wait, calls, state } = setUp({ reached: 0 });
    await wait();
    state.reached = 1;
    nowMs += 4_999;
    await wait();
    expect(calls).toEqual(['role', 'wait 1 50']);
    nowMs += 1;
    await wait();
    expect(calls.at(-1)).toBe('wait 1 50');
    expect(calls.filter((call) => call.startsWith('wait'))).toHaveLength(2);
  });

  test('does not ask a cluster, nor wait on a replica', async () => {
    const cluster = setUp({ isCluster: true });
    await cluster.wait();
    expect(cluster.calls).toEqual([]);
    const replica = setUp({ role: 'slave' });
    await replica.wait();
    expect(replica.calls).toEqual(['role']);
  });

  test('never throws: the write has happened', async () => {
    const { wait, state } = setUp();
    state.failure = new Error('NOPERM');
    await expect(wait()).resolves.toBeUndefined();
  });
});
