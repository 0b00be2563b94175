// A gateway whose upstream leads back to itself, and requests that count their hops (RFC 9110 §7.6).
import { afterEach, describe, expect, test } from '@jest/globals';
import { json } from '../support/http-client.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { freePort } from '../support/redis-server.ts';
import { closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';

const scenes: RawScene[] = [];
afterEach(async () => {
  await Promise.all(scenes.splice(0).map((scene) => scene.close()));
  await closeGateways();
});

async function start(methods = ['GET', 'POST', 'OPTIONS']): Promise<RawScene> {
  const scene = await startRawScene({
    settings: { routes: [{ path: '/delivery', methods, credential: 'session', apiKeyIn: 'bearer' }] },
  });
  scenes.push(scene);
  return scene;
}

/** How many requests the gateway has had altogether. */
async function requestsOf(gateway: TestGateway): Promise<number> {
  const counts = (await gateway.metrics()).matchAll(/^finvera_gateway_requests_total\{.*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('Via', () => {
  test('names the gateway by a pseudonym on every request to Finvera, and no host', async () => {
    const { upstream, browser } = await start();
    await browser.fetch('/delivery/x', { headers: { Via: '1.0 fred, 1.1 edge.internal (Apache)' } });
    await browser.fetch('/bff/refresh', { method: 'POST' });
    const all = upstream.allRequests();
    expect(all.map(({ target }) => target)).toEqual(
      expect.arrayContaining([
        '/delivery/x',
        '/kms/api/v1/auth/token',
        '/kms/api/v1/auth/refresh',
        '/kms/api/v1/auth/validate',
      ]),
    );
    for (const request of all) expect(request.values('via').join(', ')).toMatch(/(^|, )1\.1 finvera-gateway$/);
  });

  test('that names the gateway already is 508 in whatever spelling, and nothing goes on', async () => {
    const { upstream, exchange, request } = await start();
    for (const via of ['1.1 finvera-gateway', '1.0 a, HTTP/1.1 finvera-gateway (x), 1.1 b', '1.1   FINVERA-Gateway']) {
      const { statuses, text } = await exchange(request('GET', '/delivery/x', [`Via: ${via}`]));
      expect([via, statuses, text.includes('"code":"loop_detected"')]).toEqual([via, [508], true]);
    }
    const { statuses } = await exchange(request('GET', '/delivery/x', ['Via: 1.1 a', 'Via: 1.1 finvera-gateway']));
    expect(statuses).toEqual([508]);
    expect(
      (await exchange(request('GET', '/delivery/x', ['Connection: via', 'Via: 1.1 finvera-gateway']))).statuses,
    ).toEqual([508]);
    expect(upstream.requests()).toEqual([]);
    expect(
      (await exchange(request('GET', '/delivery/x', ['Via: 1.1 not-finvera-gateway, 1.1 finvera-gateway.test'])))
        .statuses,
    ).toEqual([200]);
  });
});

describe('a gateway that is its own Finvera', () => {
  const pointedAtItself = async (env: Record<string, string> = {}): Promise<TestGateway> => {
    const port = await freePort();
    return startGateway(`http://127.0.0.1:${port}`, {
      env: { PORT: String(port), LOGIN_LIMIT_ACCOUNT: 'off', LOGIN_LIMIT_ADDRESS: 'off', ...env },
      settings: { routes: [{ path: '/public', methods: ['GET'], credential: 'none', apiKeyIn: 'bearer' }] },
    });
  };

  test('asks itself once, not for ever: a forwarded request', async () => {
    const gateway = await pointedAtItself();
    const reply = await gateway.browser().fetch('/public/x');
    expect([reply.status, json(reply).code]).toEqual([508, 'loop_detected']);
    expect(await requestsOf(gateway)).toBe(2);
  });

  test('asks itself once, not for ever: a login', async () => {
    const gateway = await pointedAtItself();
    const reply = await gateway.browser().login();
    expect([reply.status, json(reply).code]).toEqual([503, 'upstream_unavailable']);
    expect(await requestsOf(gateway)).toBe(2);
  });

  test('asks itself once, not for ever: a frontend', async () => {
    const port = await freePort();
    const gateway = await startGateway('http://127.0.0.1:9', {
      env: { PORT: String(port), FRONTEND: `http://127.0.0.1:${port}` },
    });
    const reply = await gateway.browser().fetch('/page');
    expect([reply.status, json(reply).code]).toEqual([508, 'loop_detected']);
    expect(await requestsOf(gateway)).toBe(2);
  });
});

describe('Max-Forwards', () => {
  test('0 on OPTIONS is answered by the gateway; above it Finvera gets one less', async () => {
    const { upstream, exchange, request } = await start();
    const last = await exchange(request('OPTIONS', '/delivery/x', ['Max-Forwards: 0']));
    expect([last.statuses, last.answers[0]?.values('allow')]).toEqual([[204], ['GET, POST, OPTIONS, HEAD']]);
    expect(upstream.requests()).toEqual([]);
    expect((await exchange(request('OPTIONS', '/delivery/x', ['max-forwards: 5']))).statuses).toEqual([200]);
    expect(upstream.requests().at(-1)?.values('max-forwards')).toEqual(['4']);
  });

  test('on other methods is only a field, and what is no number says nothing', async () => {
    const { upstream, exchange, request } = await start();
    expect((await exchange(request('GET', '/delivery/x', ['Max-Forwards: 0']))).statuses).toEqual([200]);
    expect((await exchange(request('OPTIONS', '/delivery/x', ['Max-Forwards: -1']))).statuses).toEqual([200]);
    expect((await exchange(request('OPTIONS', '/delivery/x', ['Max-Forwards: x']))).statuses).toEqual([200]);
    expect(upstream.requests().map(({ values }) => values('max-forwards'))).toEqual([['0'], ['-1'], ['x']]);
  });
});

describe('methods that concern the way itself', () => {
  test('TRACE is refused, and shows no credential; with Max-Forwards 0 too', async () => {
    const { upstream, exchange, request, browser } = await start(['GET', 'OPTIONS']);
    for (const more of [[], ['Max-Forwards: 0']]) {
      const { statuses, text } = await exchange(request('TRACE', '/delivery/x', more));
      expect(statuses).toEqual([405]);
      expect(text).not.toContain(browser.cookie?.split('=')[1]);
      expect(text).toMatch(/^Allow: /m);
    }
    expect(upstream.requests()).toEqual([]);
  });

  test('CONNECT opens no tunnel', async () => {
    const { upstream, exchange, lines } = await start();
    for (const target of ['127.0.0.1:22', `127.0.0.1:${upstream.port}`, '/delivery/x']) {
      const { text, closed } = await exchange(
        `CONNECT ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join('\r\n')}\r\n\r\n`,
      );
      expect([text.startsWith('HTTP/1.1 2'), closed]).toEqual([false, true]);
    }
    expect(upstream.requests()).toEqual([]);
  });

  test('OPTIONS * is answered here', async () => {
    const { upstream, exchange, request } = await start();
    expect((await exchange(request('OPTIONS', '*'))).statuses).toEqual([204]);
    expect((await exchange(request('GET', '*'))).statuses).toEqual([400]);
    expect(upstream.requests()).toEqual([]);
  });
});
