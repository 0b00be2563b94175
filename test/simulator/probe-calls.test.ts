import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, closeAll, json, start } from './client.ts';

afterEach(closeAll);

describe('echo', () => {
  it('answers the request as it came', async () => {
    const simulator = await start();
    const url = '/public/api/v1/__echo/a%2Fb//c?x=1&x=%20';
    const reply = await call(`${simulator.url}${url}`, { method: 'PATCH', headers: { 'X-CaSe': 'v' }, body: 'héllo' });
    expect(json(reply)).toMatchObject({ method: 'PATCH', url, httpVersion: '1.1', bodyBytes: 6, body: 'héllo' });
    expect(json(reply).rawHeaders).toContain('X-CaSe');
    expect(json(reply).bodySha256).toBe(createHash('sha256').update('héllo').digest('hex'));
  });

  it('counts and hashes a large body without answering it', async () => {
    const simulator = await start();
    const body = Buffer.alloc(3_000_000, 'x');
    const echoed = json(await call(`${simulator.url}/public/api/v1/__echo`, { method: 'POST', body }));
    expect(echoed.bodyBytes).toBe(3_000_000);
    expect(echoed.bodySha256).toBe(createHash('sha256').update(body).digest('hex'));
    expect(echoed.body).toBeUndefined();
    expect(simulator.requests()[0]).toMatchObject({ bodyBytes: 3_000_000, body: undefined });
  });

  it('does not pass off binary data as text', async () => {
    const simulator = await start();
    const body = Buffer.from([0xff, 0xfe, 0x00]);
    const echoed = json(await call(`${simulator.url}/public/api/v1/__echo`, { method: 'POST', body }));
    expect([echoed.bodyBytes, echoed.body]).toEqual([3, undefined]);
  });

  it('asks for a credential outside /public', async () => {
    const simulator = await start({ apiKey: 'sk_test' });
    expect((await call(`${simulator.url}/delivery/api/v1/__echo`)).status).toBe(401);
    expect((await call(`${simulator.url}/delivery/api/v1/__echo?apikey=sk_test`)).status).toBe(200);
    expect((await call(`${simulator.url}/kms/api/v1/__echo?apikey=sk_test`)).status).toBe(200);
  });
});

describe('status', () => {
  it.each([200, 201, 204, 301, 304, 404, 418, 500, 599])('answers %i', async (code) => {
    const simulator = await start();
    const reply = await call(`${simulator.url}/public/api/v1/__status/${code}`);
    expect(reply.status).toBe(code);
    if (code >= 400) expect(json(reply).error.code).toBe(code);
  });

  it.each(['100', '600', 'x'])('answers 400 to %s', async (code) => {
    const simulator = await start();
    expect((await call(`${simulator.url}/public/api/v1/__status/${code}`)).status).toBe(400);
  });

  it('adds the headers that are asked for', async () => {
    const simulator = await start();
    const query = `header=${encodeURIComponent('Set-Cookie: a=1')}&header=Set-Cookie:b=2&header=Cache-Control:no-store`;
    const reply = await call(`${simulator.url}/public/api/v1/__status/200?${query}`);
    expect(reply.setCookies).toEqual(['a=1', 'b=2']);
    expect(reply.headers['cache-control']).toBe('no-store');
    const bad = await call(`${simulator.url}/public/api/v1/__status/200?header=${encodeURIComponent('a b:1')}`);
    expect(bad.status).toBe(400);
  });
});

describe('bytes', () => {
  it.each(['', '?chunked=1'])('streams the same bytes each time %s', async (query) => {
    const simulator = await start();
    const reply = await call(`${simulator.url}/public/api/v1/__bytes/200001${query}`);
    const expected = Buffer.from(Array.from({ length: 200_001 }, (_, index) => index & 0xff));
    expect(reply.body.equals(expected)).toBe(true);
    expect(reply.headers['content-length']).toBe(query === '' ? '200001' : undefined);
  });

  it('makes no more than a slow reader takes', async () => {
    const simulator = await start();
    const before = process.memoryUsage.rss();
    const sent = request(`${simulator.url}/public/api/v1/__bytes/107374182400`, { agent: false });
    sent.end();
    const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
    await once(response, 'readable');
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 ** 2);
    sent.on('error', () => {});
    sent.destroy();
  });

  it('answers 400 to what is no number of bytes', async () => {
    const simulator = await start();
    expect((await call(`${simulator.url}/public/api/v1/__bytes/-1`)).status).toBe(400);
  });
});

describe('slow', () => {
  it('dribbles the body over the time asked for', async () => {
    const simulator = await start();
    const startedAt = performance.now();
    const reply = await call(`${simulator.url}/public/api/v1/__slow?ms=100&chunks=4&bytes=10`);
    expect([...reply.body]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(performance.now() - startedAt).toBeGreaterThan(90);
  });

  it('answers 400 to more chunks than bytes', async () => {
    const simulator = await start();
    expect((await call(`${simulator.url}/public/api/v1/__slow?chunks=5&bytes=4`)).status).toBe(400);
  });
});
