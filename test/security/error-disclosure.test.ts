// Errors that tell of the inside, or of a status that is not the true one: each of the gateway's own is a problem and no more.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { proxyStatusOf } from '../../src/routes/proxy-status.ts';
import { call, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { exchangeRaw, rawRequest, rawStatus } from '../support/raw-http.ts';
import { startRawScene } from '../support/raw-scene.ts';
import type { RawAnswer } from '../support/raw-upstream.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';

let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

describe('errors', () => {
  test('are problems with Finvera’s error member, and HEAD has only their head', async () => {
    const gateway = await startGateway(simulator);
    expectProblem(await call(`${gateway.url}/nothing`), 404, 'not_found');
    const head = await call(`${gateway.url}/nothing`, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([404, '']);
    expect(head.headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  const line = (text: string) => `GET /bff/session HTTP/1.1\r\n${text}\r\n\r\n`;

  test.each([
    ['what is no HTTP', 'hello\r\n\r\n', 400],
    ['a header without a name', line('Host: x\r\n: y'), 400],
    ['a line feed alone in a header', 'GET / HTTP/1.1\nHost: x\r\nX: y\r\n\r\n', 400],
    ['no Host', line('Connection: close'), 400],
    ['two Hosts', line('Host: a\r\nHost: b'), 400],
    ['a Host that is none', line('Host: a/b'), 400],
    [
      'two framings',
      'POST /bff/logout HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'two lengths',
      'POST /bff/logout HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
      400,
    ],
    [
      'a coding nobody knows',
      'POST /bff/logout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      501,
    ],
    ['headers beyond measure', line(`Host: x\r\nX: ${'y'.repeat(40_000)}`), 431],
    ['more headers than anyone needs', line(`Host: x${'\r\nX: y'.repeat(300)}`), 431],
  ])('on the wire are answered as problems: %s', async (_what, bytes, status) => {
    const gateway = await startGateway(simulator);
    const answer = await exchangeRaw(gateway.port, bytes.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    expect([rawStatus(answer) === status || (status === 501 && rawStatus(answer) === 400), answer]).toEqual([
      true,
      expect.stringContaining('application/problem+json'),
    ]);
    const problem = JSON.parse(answer.slice(answer.indexOf('{')));
    expect(problem).toEqual({
      type: expect.any(String),
      title: expect.any(String),
      status: rawStatus(answer),
      detail: expect.any(String),
      code: expect.any(String),
      request_id: expect.any(String),
      error: { code: rawStatus(answer), message: expect.any(String), details: expect.any(String) },
    });
    expect(simulator.requests()).toEqual([]);
  });

  test.each([
    ['TRACE', EVENT, 405],
    ['GET', 'http://elsewhere.test/delivery/api/v1/events', 400],
    ['GET', '/delivery/%2e%2e/kms/api/v1/keys', 400],
    ['GET', '/delivery/a%2fb', 400],
    ['GET', '/delivery/%zz', 400],
    ['GET', '/delivery/%00', 400],
    ['GET', '/delivery/%c0%ae%c0%ae/x', 400],
    ['GET', '//delivery/api', 400],
    ['GET', '/delivery\\api', 400],
  ])('answer %s %s, and nothing is forwarded', async (method, target, status) => {
    const gateway = await startGateway(simulator, {
      settings: {
        routes: [{ path: '/delivery', methods: ['GET', 'TRACE'], credential: 'none', apiKeyIn: 'bearer' }],
      },
    });
    const answer = await exchangeRaw(gateway.port, rawRequest(method, target));
    expect([rawStatus(answer), answer]).toEqual([status, expect.stringContaining('application/problem+json')]);
    expect(simulator.requests()).toEqual([]);
  });
});

describe('Proxy-Status', () => {
  /** RFC 9209 §2: a list of tokens with parameters, here one member and one parameter. */
  const FORM = /^finvera-gateway; error=([a-z_]+)$/;
  const typeOf = (reply: Reply) => FORM.exec(String(reply.headers['proxy-status']))?.[1];

  const failing: readonly (readonly [string, RawAnswer, number, string])[] = [
    ['is no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 502, 'http_protocol_error'],
    ['is cut before its head is whole', (socket) => socket.end('HTTP/1.1 200 OK\r\n'), 502, 'connection_terminated'],
    ['does not come', () => undefined, 504, 'http_response_timeout'],
    [
      'has a head beyond measure',
      `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`,
      502,
      'http_response_header_section_size',
    ],
  ];

  test.each(failing)('names why, and no host or address, where an answer %s', async (_what, answer, status, type) => {
    const { upstream, browser, close } = await startRawScene({ env: { FINVERA_HEADERS_TIMEOUT: '500ms' } });
    upstream.answer(answer);
    const reply = await browser.fetch(EVENT, { method: 'POST' });
    expect([reply.status, typeOf(reply)]).toEqual([status, type]);
    await close();
  });

  test('names a connection that is refused, and one that is not tried any more', async () => {
    const gateway = await startGateway(simulator);
    const browser = gateway.browser();
    await browser.login();
    await simulator.close();
    const replies: Reply[] = [];
    for (let i = 0; i < 30; i += 1) replies.push(await browser.fetch(EVENT, { method: 'POST' }));
    expect([replies[0]?.status, typeOf(replies[0] as Reply)]).toEqual([502, 'connection_refused']);
    expect([replies.at(-1)?.status, typeOf(replies.at(-1) as Reply)]).toEqual([503, 'destination_unavailable']);
    simulator = await createSimulator();
  });

  test.each([
    ['ENOTFOUND', 'upstream_refused', 'dns_error'],
    ['EAI_AGAIN', 'upstream_refused', 'dns_error'],
    ['EHOSTUNREACH', 'upstream_refused', 'destination_ip_unroutable'],
    ['ECONNRESET', 'upstream_refused', 'connection_terminated'],
    ['connect_timeout', 'upstream_timeout', 'connection_timeout'],
    ['ETIMEDOUT', 'upstream_timeout', 'connection_timeout'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'upstream_refused', 'tls_certificate_error'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'upstream_refused', 'tls_certificate_error'],
    ['constructor', 'loop_detected', 'proxy_loop_detected'],
    ['', 'internal_error', 'proxy_internal_error'],
    ['ECONNREFUSED', 'store_unavailable', undefined],
    ['', 'not_kept', undefined],
  ] as const)('of a failure with the code %j that is %s names %j', (code, kind, type) => {
    const cause = Object.assign(new Error('connect 10.0.0.1:443 finvera.internal'), { code });
    const value = proxyStatusOf(new GatewayError(kind, { cause }));
    expect(value).toBe(type && `finvera-gateway; error=${type}`);
  });

  test('is not said of Finvera’s own errors, nor where the gateway itself is who answers', async () => {
    const gateway = await startGateway(simulator);
    const browser = gateway.browser();
    await browser.login();
    for (const [path, status] of [
      ['/delivery/api/v1/__status/502', 502],
      ['/delivery/api/v1/__status/504', 504],
      ['/nothing', 404],
      ['/bff/nothing', 404],
      ['/delivery/%zz', 400],
    ] as const) {
      const reply = await browser.fetch(path);
      expect([path, reply.status, reply.headers['proxy-status']]).toEqual([path, status, undefined]);
    }
    simulator.addFault({ fault: 'hang', match: { call: 'token' } });
    const hasty = await startGateway(simulator, { env: { FINVERA_AUTH_TIMEOUT: '500ms' } });
    const login = await hasty.browser().login();
    expect([login.status, login.headers['proxy-status']]).toEqual([504, undefined]);
  });
});
