// A Finvera that hangs, resets, refuses or says no HTTP: the true status in bounded time, and nothing of the inside is told.
import { describe, expect, test } from '@jest/globals';
import type { FaultSpec } from '../../simulator/faults.ts';
import type { Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { freePort } from '../support/redis-server.ts';
import { arrangeScene, loggedIn, routeTo } from '../support/scene.ts';
import { startGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const SEARCH = '/search/api/v1/securities?search=AAPL';
const BYTES = '/delivery/api/v1/__bytes/10000';

const scene = arrangeScene();

describe('a Finvera that fails', () => {
  test.each<[FaultSpec, number, string]>([
    [{ fault: 'reset_before' }, 502, 'upstream_unavailable'],
    [{ fault: 'garbage' }, 502, 'upstream_invalid'],
    [{ fault: 'hang' }, 504, 'upstream_timeout'],
  ])('before an answer is a problem, in bounded time: %j', async (fault, status, code) => {
    const gateway = await scene.start(fault.fault === 'hang' ? { FINVERA_HEADERS_TIMEOUT: '1s' } : {});
    const browser = await loggedIn(gateway);
    scene.simulator.addFault({ ...fault, match: { call: 'data' } });
    const reply = await browser.fetch(EVENT, { method: 'POST', body: 'x' });
    expectProblem(reply, status, code);
    expect(reply.setCookies).toEqual([]);
    expect(reply.text).not.toMatch(/127\.0\.0\.1|ECONN|undici|socket/i);
    expect(scene.simulator.requests('data')).toHaveLength(1);
    expect((await browser.fetch('/bff/session')).status).toBe(200);
    const find = () => gateway.logLines().find((line) => line.event === 'request' && line.path === EVENT);
    await until('the log line', () => find() !== undefined);
    expect(find()).toMatchObject({ status, code, level: 'warn', route: '/delivery' });
    expect(await gateway.metrics()).toContain(
      `finvera_gateway_requests_total{route="/delivery",method="POST",status="${status}",code="${code}"} 1`,
    );
  });

  test('that refuses connections is 502', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    await scene.simulator.close();
    const reply = await browser.fetch(EVENT);
    expectProblem(reply, 502, 'upstream_unavailable');
  });

  test.each(['half_body', 'stall_body'] as const)(
    'in the middle of an answer ends the connection (%s)',
    async (fault) => {
      const gateway = await scene.start({ FINVERA_BODY_TIMEOUT: '2s' });
      const browser = await loggedIn(gateway);
      for (const query of ['', '?chunked=1']) {
        const { remove } = scene.simulator.addFault({ fault, match: { call: 'data' } });
        await expect(browser.fetch(`${BYTES}${query}`)).rejects.toThrow(/aborted|hang up|ECONNRESET/);
        remove();
      }
      expect((await browser.fetch(EVENT)).status).toBe(200);
      const cut = gateway.logLines().filter((line) => line.event === 'request' && line.aborted === true);
      expect(cut.map(({ code }) => code)).toEqual(
        fault === 'half_body'
          ? ['upstream_unavailable', 'upstream_unavailable']
          : ['upstream_timeout', 'upstream_timeout'],
      );
    },
  );

  test('many times is asked no more, with Retry-After, until it is back', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const { remove } = scene.simulator.addFault({ fault: 'reset_before', match: { call: 'data' } });
    let reply = await browser.fetch(EVENT, { method: 'POST' });
    for (let i = 0; i < 60 && reply.status === 502; i += 1) reply = await browser.fetch(EVENT, { method: 'POST' });
    expectProblem(reply, 503, 'upstream_unavailable');
    expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    const asked = scene.simulator.requests('data').length;
    expectProblem(await browser.fetch(EVENT), 503, 'upstream_unavailable');
    expect(scene.simulator.requests('data')).toHaveLength(asked);
    remove();
    await until('Finvera being asked again', async () => (await browser.fetch(EVENT)).status === 200);
  });

  test('is waited for as long as the route says', async () => {
    const gateway = await scene.start({}, [
      routeTo('/delivery', { headersTimeout: 500 }),
      routeTo('/search', { bodyTimeout: 500 }),
    ]);
    const browser = await loggedIn(gateway);
    scene.simulator.addFault({ fault: 'hang', match: { path: '/delivery' } });
    scene.simulator.addFault({ fault: 'stall_body', match: { path: '/search' } });
    expectProblem(await browser.fetch(EVENT), 504, 'upstream_timeout');
    await expect(browser.fetch(SEARCH)).rejects.toThrow();
  });

  test('that nobody listens for is 502, and nothing is told of where', async () => {
    const gateway = await startGateway(`http://127.0.0.1:${await freePort()}`, {
      settings: { routes: [routeTo('/public', { credential: 'none' })] },
    });
    const reply: Reply = await gateway.browser().fetch('/public/x');
    expectProblem(reply, 502, 'upstream_unavailable');
    expect(reply.text).not.toContain('127.0.0.1');
  });
});
