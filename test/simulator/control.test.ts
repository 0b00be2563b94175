import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import {
  call,
  closeAll,
  get,
  json,
  login,
  sendLogin,
  sendRefresh,
  sendValidate,
  start,
  untilAborted,
} from './client.ts';

afterEach(closeAll);

const EVENT = '/delivery/api/v1/events/evt-0001';

function control(simulator: Simulator, method: string, path: string, value?: unknown) {
  const body = value === undefined ? {} : { body: typeof value === 'string' ? value : JSON.stringify(value) };
  return call(`${simulator.url}/__sim/${path}`, { method, ...body });
}

describe('faults over HTTP', () => {
  it('adds, lists and removes them', async () => {
    const simulator = await start();
    const { access } = await login(simulator);
    const added = await control(simulator, 'POST', 'faults', { match: { call: 'data' }, fault: 'status', status: 502 });
    expect([added.status, json(added)]).toEqual([201, { id: 1 }]);
    await control(simulator, 'POST', 'faults', { fault: 'unauthorized' });
    expect((await get(simulator, EVENT, access)).status).toBe(502);
    expect(json(await control(simulator, 'GET', 'faults')).faults).toEqual([
      { id: 1, applied: 1, match: { call: 'data' }, fault: 'status', status: 502 },
      { id: 2, applied: 0, fault: 'unauthorized' },
    ]);
    expect((await control(simulator, 'DELETE', 'faults/1')).status).toBe(204);
    expect((await control(simulator, 'DELETE', 'faults/1')).status).toBe(404);
    expect((await get(simulator, EVENT, access)).status).toBe(401);
    expect((await control(simulator, 'DELETE', 'faults')).status).toBe(204);
    expect((await get(simulator, EVENT, access)).status).toBe(200);
  });

  it.each([
    ['not json', 'the body is not JSON'],
    ['[]', 'the body is no object'],
    ['{}', 'fault: '],
    ['{"fault":"nonsense"}', 'fault: '],
    ['{"fault":"status","status":99}', 'status: '],
    ['{"fault":"latency","ms":"1"}', 'ms: '],
    ['{"fault":"hang","tiems":1}', 'tiems'],
    ['{"fault":"hang","times":0}', 'times: '],
    ['{"fault":"hang","match":{"call":"login"}}', 'match.call: '],
    ['{"fault":"hang","match":{"path":"x"}}', 'match.path: '],
    ['{"fault":"headers","headers":{"a b":"1"}}', 'headers.a b: '],
    ['{"fault":"headers","headers":{"a":"1\\r\\nb: 2"}}', 'headers.a: '],
    ['{"fault":"hang","early":true,"computed":true}', 'early: '],
  ])('answers 400 to %s and names the problem', async (body, problem) => {
    const simulator = await start();
    const reply = await control(simulator, 'POST', 'faults', body);
    expect(reply.status).toBe(400);
    expect(json(reply).error.details).toContain(problem);
    expect(simulator.faults()).toEqual([]);
  });

  it('is itself beyond the reach of faults', async () => {
    const simulator = await start();
    simulator.addFault({ fault: 'hang' });
    expect((await control(simulator, 'GET', 'counters')).status).toBe(200);
  });
});

describe('what was received', () => {
  it('is answered in order, with headers and bodies as they came', async () => {
    const simulator = await start();
    await sendLogin(simulator, 'demo@finvera.test', 'wrong');
    await call(`${simulator.url}/nowhere?x=%41`, { headers: { 'X-OdD': '1' } });
    const { requests } = json(await control(simulator, 'GET', 'requests'));
    expect(requests).toHaveLength(2);
    expect(requests[0]).toMatchObject({
      id: 1,
      at: expect.any(Number),
      method: 'POST',
      url: '/kms/api/v1/auth/token',
      httpVersion: '1.1',
      call: 'token',
      body: '{"email":"demo@finvera.test","password":"wrong"}',
      bodyBytes: 48,
      status: 401,
      aborted: false,
    });
    expect(requests[1]).toMatchObject({ id: 2, url: '/nowhere?x=%41', call: 'other', status: 404, bodyBytes: 0 });
    expect(requests[1].rawHeaders).toContain('X-OdD');
  });

  it('can be narrowed to one call', async () => {
    const simulator = await start();
    await login(simulator);
    await sendValidate(simulator, 'x');
    expect(json(await control(simulator, 'GET', 'requests?call=validate')).requests).toHaveLength(1);
    expect((await control(simulator, 'GET', 'requests?call=nonsense')).status).toBe(400);
  });

  it('tells when the client went away before the answer ended', async () => {
    const simulator = await start();
    const sent = request(`${simulator.url}/public/api/v1/__bytes/100000000`, { agent: false });
    sent.on('error', () => {});
    sent.end();
    const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
    response.on('error', () => {});
    response.destroy();
    await untilAborted(simulator, 'data');
    expect(simulator.requests('data')[0]).toMatchObject({ status: 200, aborted: true });
  });

  it('is bounded, the oldest going first', async () => {
    const simulator = await start({ journalSize: 3 });
    for (let count = 0; count < 5; count++) await sendValidate(simulator, 'x');
    expect(simulator.requests().map(({ id }) => id)).toEqual([3, 4, 5]);
    expect(simulator.counters().validate.received).toBe(5);
  });

  it('is only counted without recording', async () => {
    const simulator = await start({ record: false });
    await login(simulator);
    await sendValidate(simulator, 'x');
    expect(simulator.requests()).toEqual([]);
    expect(json(await control(simulator, 'GET', 'counters'))).toMatchObject({
      token: { received: 1, answered: { 200: 1 } },
      validate: { received: 1, answered: { 401: 1 } },
      data: { received: 0, answered: {} },
    });
  });

  it('tells when what a test waits for does not arrive', async () => {
    const simulator = await start();
    await expect(simulator.waitForRequests('data', 1, 5)).rejects.toThrow("0 of 1 'data' requests arrived in 5 ms");
  });
});

describe('revocation', () => {
  it('ends the access tokens, the refresh tokens or both, of one user or of all', async () => {
    const simulator = await start();
    const demo = await login(simulator);
    const other = await login(simulator, 'standard@finvera.test');
    const reply = await control(simulator, 'POST', 'revoke', { email: 'demo@finvera.test', what: 'access' });
    expect(json(reply)).toEqual({ revoked: { access: 1, refresh: 0 } });
    expect((await sendValidate(simulator, demo.access)).status).toBe(401);
    expect((await sendValidate(simulator, other.access)).status).toBe(200);
    expect((await sendRefresh(simulator, demo.refresh)).status).toBe(200);
    await control(simulator, 'POST', 'revoke', { what: 'refresh' });
    expect((await sendRefresh(simulator, other.refresh)).status).toBe(401);
    expect((await sendValidate(simulator, other.access)).status).toBe(200);
    await control(simulator, 'POST', 'revoke', {});
    expect((await sendValidate(simulator, other.access)).status).toBe(401);
  });

  it.each([{ what: 'everything' }, { email: 1 }])('answers 400 to %j', async (body) => {
    const simulator = await start();
    expect((await control(simulator, 'POST', 'revoke', body)).status).toBe(400);
  });
});

describe('settings and clock', () => {
  it('change while it runs', async () => {
    const simulator = await start();
    const reply = await control(simulator, 'PATCH', 'options', { accessTokenLifeS: 5, tokenIn: 'json' });
    expect(json(reply)).toMatchObject({ accessTokenLifeS: 5, tokenIn: 'json', rotation: true });
    expect(json(await sendLogin(simulator))).toMatchObject({ expires_in: 5, token: expect.any(String) });
    const bad = await control(simulator, 'PATCH', 'options', { tokenIn: 'header', port: 1 });
    expect(bad.status).toBe(400);
    expect(json(bad).error.details).toMatch(/tokenIn: .*port/);
  });

  it('advances the clock that tokens live by', async () => {
    const simulator = await start();
    const { access } = await login(simulator);
    expect((await control(simulator, 'POST', 'clock', { advanceMs: 3_600_001 })).status).toBe(200);
    expect((await sendValidate(simulator, access)).status).toBe(401);
    expect((await control(simulator, 'POST', 'clock', {})).status).toBe(400);
  });

  it('refuses bad options at the start, naming each', async () => {
    await expect(createSimulator({ port: -1 })).rejects.toThrow('port: ');
    await expect(createSimulator({ accessTokenLifeS: -1, rateLimit: 0 })).rejects.toThrow(
      /accessTokenLifeS: .*rateLimit: /,
    );
    await expect(createSimulator({ tokenSizes: { access: 10, refresh: 700 } })).rejects.toThrow('tokenSizes.access: ');
  });

  it('fails where the port is taken', async () => {
    const { port } = await start();
    await expect(createSimulator({ port })).rejects.toThrow('EADDRINUSE');
  });
});

describe('the end', () => {
  it('starts over on a reset', async () => {
    const simulator = await start();
    const { access } = await login(simulator);
    simulator.addFault({ fault: 'status' });
    simulator.configure({ tokenIn: 'json' });
    simulator.advanceClock(-1_000_000_000);
    expect((await control(simulator, 'POST', 'reset')).status).toBe(204);
    expect([simulator.requests(), simulator.faults(), simulator.counters().token.received]).toEqual([[], [], 0]);
    expect(Math.abs(simulator.now() - Date.now())).toBeLessThan(5000);
    expect((await sendValidate(simulator, access)).status).toBe(401);
    expect((await sendLogin(simulator)).setCookies).toHaveLength(2);
    expect(simulator.requests()[0]?.id).toBe(1);
  });

  it('ends every connection at once on close, idle and hanging ones too', async () => {
    const simulator = await start();
    simulator.addFault({ fault: 'hang' });
    const idle = connect(simulator.port, '127.0.0.1');
    await once(idle, 'connect');
    const failed = expect(sendLogin(simulator)).rejects.toThrow();
    await simulator.waitForRequests('token', 1);
    const idleClosed = once(idle, 'close');
    idle.on('error', () => {}).resume();
    await Promise.all([simulator.close(), failed, idleClosed]);
    await simulator.close();
  });

  it('answers 404 to an unknown control call', async () => {
    const simulator = await start();
    expect((await control(simulator, 'GET', 'nonsense')).status).toBe(404);
  });
});
