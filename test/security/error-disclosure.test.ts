// Errors that tell of the inside, or of a status that is not the true one: each of the gateway's own is a problem and no more.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { call } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { exchangeRaw, rawRequest, rawStatus } from '../support/raw-http.ts';
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
