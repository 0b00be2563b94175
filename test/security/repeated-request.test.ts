// Requests that the gateway might send twice: what is not idempotent never is, whatever happens to the connection
// (RFC 9110 §9.2.2).
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { type RawAnswer, rawAnswer } from '../support/raw-upstream.ts';

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene({ env: { FINVERA_HEADERS_TIMEOUT: '2s', FINVERA_BODY_TIMEOUT: '2s' } });
});
afterAll(() => scene.close());

const BROKEN: readonly (readonly [string, RawAnswer, readonly number[]])[] = [
  ['a reset after it was read', (socket) => void socket.resetAndDestroy(), [502]],
  ['a close without a word', (socket) => void socket.end(), [502]],
  ['half a head', (socket) => void socket.end('HTTP/1.1 200'), [502]],
  ['bytes that are no HTTP', 'hello\r\n\r\n', [502]],
  ['silence', () => undefined, [504]],
  ['503 with Retry-After', rawAnswer('later', ['Retry-After: 0'], '503 Service Unavailable'), [503]],
  ['408', rawAnswer('late', ['Connection: close'], '408 Request Timeout'), [408]],
  ['425', rawAnswer('early', [], '425 Too Early'), [425]],
];

async function countOf(method: string, answer: RawAnswer): Promise<{ statuses: readonly number[]; asked: number }> {
  scene.upstream.answer(rawAnswer());
  await scene.browser.fetch('/delivery/warm'); // the connection that breaks is a kept one
  const before = scene.upstream.requests().length;
  scene.upstream.answer(answer);
  const { statuses } = await scene.exchange(scene.request(method, '/delivery/x', ['Content-Length: 2'], 'hi'));
  return { statuses, asked: scene.upstream.requests().length - before };
}

describe('what is not idempotent is asked once', () => {
  test.each(BROKEN)('%s', async (_what, answer, statuses) => {
    for (const method of ['POST', 'PATCH']) {
      expect([method, await countOf(method, answer)]).toEqual([method, { statuses, asked: 1 }]);
    }
  });
});

describe('what is idempotent is asked twice at most, and only where nothing came back', () => {
  test.each(BROKEN)('%s', async (what, answer, statuses) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const { asked, statuses: got } = await countOf(method, answer);
      expect(got).toEqual(statuses);
      expect(asked).toBeLessThanOrEqual(/reset|close|half/.test(what) ? 2 : 1);
    }
  });
});

test('a login and a refresh are exchanges of one request each', async () => {
  const each = await startRawScene({ env: { LOGIN_LIMIT_ACCOUNT: 'off' } });
  try {
    const before = each.upstream.allRequests().length;
    await each.gateway.browser().login('a@finvera.test');
    await each.gateway.browser().login('a@finvera.test', 'wrong');
    expect(
      each.upstream
        .allRequests()
        .slice(before)
        .map(({ target }) => target.split('/').at(-1)),
    ).toEqual(['token', 'validate', 'token']);
    await each.browser.fetch('/bff/refresh', { method: 'POST' });
    await each.browser.fetch('/bff/refresh', { method: 'POST' });
    expect(each.upstream.allRequests().filter(({ target }) => target.endsWith('refresh'))).toHaveLength(1);
  } finally {
    await each.close();
  }
});
