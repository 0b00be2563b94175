import { describe, expect, it } from '@jest/globals';
import { createDeadlines, type Deadline } from '../../../src/forwarding/deadlines.ts';
import { NOWHERE } from '../../../src/kernel/place-list.ts';

function createWait(onDue: () => void): Deadline {
  return { dueAt: 0, place: NOWHERE, onDue };
}

describe('createDeadlines', () => {
  it('calls each once when its time has come, and not before', async () => {
    const deadlines = createDeadlines();
    const startedAt = performance.now();
    const due: string[] = [];
    const [early, late] = await new Promise<[number, number]>((resolve) => {
      let first = 0;
      deadlines.set(
        createWait(() => {
          due.push('late');
          resolve([first, performance.now() - startedAt]);
        }),
        200,
      );
      deadlines.set(
        createWait(() => {
          due.push('early');
          first = performance.now() - startedAt;
        }),
        30,
      );
    });
    expect(due).toEqual(['early', 'late']);
    expect(early).toBeGreaterThanOrEqual(30);
    expect(late).toBeGreaterThanOrEqual(200);
  });

  it('forgets what is cleared, and counts from the last time it was set', async () => {
    const deadlines = createDeadlines();
    const startedAt = performance.now();
    let calls = 0;
    const cleared = createWait(() => {
      calls += 1;
    });
    const at = await new Promise<number>((resolve) => {
      deadlines.set(cleared, 20);
      deadlines.clear(cleared);
      const moved = createWait(() => resolve(performance.now() - startedAt));
      deadlines.set(moved, 20);
      deadlines.set(moved, 150);
    });
    expect(at).toBeGreaterThanOrEqual(150);
    expect(calls).toBe(0);
  });

  it('goes on with the others where one sets itself anew or clears another', async () => {
    const deadlines = createDeadlines();
    let rounds = 0;
    let rivals = 0;
    await new Promise<void>((resolve) => {
      // Whichever comes first clears the other.
      const one = createWait(() => {
        rivals += 1;
        deadlines.clear(other);
      });
      const other = createWait(() => {
        rivals += 1;
        deadlines.clear(one);
      });
      const again = createWait(() => {
        rounds += 1;
        if (rounds < 3) deadlines.set(again, 1);
        else resolve();
      });
      deadlines.set(one, 1);
      deadlines.set(again, 1);
      deadlines.set(other, 1);
    });
    expect({ rounds, rivals }).toEqual({ rounds: 3, rivals: 1 });
  });
});
