import { describe, expect, test } from '@jest/globals';
import { createCircuitBreaker, type Permit } from '../../../src/forwarding/circuit-breaker.ts';
import { createTestClock } from '../../support/test-clock.ts';

function setUp() {
  const clock = createTestClock(0);
  const changes: string[] = [];
  const breaker = createCircuitBreaker({ now: clock.now, onChange: (state) => void changes.push(state) });
  const enter = (): Permit => {
    const permit = breaker.enter();
    if (permit.kind === 'open') throw new Error('the breaker is open');
    return permit;
  };
  const fail = (count: number) => {
    for (let i = 0; i < count; i += 1) enter().fail();
  };
  const succeed = (count: number) => {
    for (let i = 0; i < count; i += 1) enter().succeed();
  };
  return { clock, changes, breaker, enter, fail, succeed };
}

describe('createCircuitBreaker', () => {
  test('stays closed through a few failures, and opens at the twentieth', () => {
    const { breaker, fail, changes } = setUp();
    fail(19);
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.state).toBe('open');
    expect(changes).toEqual(['open']);
    expect(breaker.enter()).toEqual({ kind: 'open', retryAfterMs: 2_000 });
  });

  test('stays closed while more than half succeeds', () => {
    const { breaker, fail, succeed } = setUp();
    succeed(30);
    fail(29);
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.state).toBe('open');
  });

  test('forgets what is older than ten seconds', () => {
    const { breaker, fail, clock } = setUp();
    fail(19);
    clock.advance(10_001);
    fail(1);
    expect(breaker.state).toBe('closed');
    clock.advance(10_000);
    fail(18);
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.state).toBe('open');
  });

  test('says how long it is still open', () => {
    const { breaker, fail, clock } = setUp();
    fail(20);
    clock.advance(1_500);
    expect(breaker.enter()).toEqual({ kind: 'open', retryAfterMs: 500 });
  });

  test('lets a single request try after two seconds, and closes when it succeeds', () => {
    const { breaker, fail, enter, clock, changes } = setUp();
    fail(20);
    clock.advance(2_000);
    const probe = enter();
    expect(breaker.state).toBe('half-open');
    expect(breaker.enter()).toEqual({ kind: 'open', retryAfterMs: 2_000 });
    probe.succeed();
    expect(breaker.state).toBe('closed');
    expect(changes).toEqual(['open', 'half-open', 'closed']);
    fail(19);
    expect(breaker.state).toBe('closed');
  });

  test('stays open for two more seconds when the try fails', () => {
    const { breaker, fail, enter, clock } = setUp();
    fail(20);
    clock.advance(2_000);
    enter().fail();
    expect(breaker.state).toBe('open');
    clock.advance(1_999);
    expect(breaker.enter().kind).toBe('open');
    clock.advance(1);
    enter().succeed();
    expect(breaker.state).toBe('closed');
  });

  test('lets another request try where the first one says nothing', () => {
    const { fail, enter, clock, breaker } = setUp();
    fail(20);
    clock.advance(2_000);
    enter().abandon();
    expect(breaker.state).toBe('half-open');
    enter().succeed();
    expect(breaker.state).toBe('closed');
  });

  test('counts each request once, and one that is abandoned not at all', () => {
    const { breaker, enter, fail } = setUp();
    fail(18);
    const permit = enter();
    permit.fail();
    permit.fail();
    permit.succeed();
    for (let i = 0; i < 5; i += 1) enter().abandon();
    expect(breaker.state).toBe('closed');
    fail(1);
    expect(breaker.state).toBe('open');
  });

  test('does not listen to what began before it opened', () => {
    const { breaker, enter, fail, clock } = setUp();
    const [late, later] = [enter(), enter()];
    fail(20);
    late.succeed();
    expect(breaker.state).toBe('open');
    clock.advance(2_000);
    const probe = enter();
    later.fail();
    expect(breaker.state).toBe('half-open');
    probe.succeed();
    expect(breaker.state).toBe('closed');
  });
});
