import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, closeAll, get, loggedIn, sendLogin } from './client.ts';

afterEach(closeAll);

const EVENT = '/delivery/api/v1/events/evt-0001';

describe('added headers', () => {
  it('adds to good answers, replacing all but cookies', async () => {
    const headers = { 'Set-Cookie': ['a=1', 'b=2'], etag: '"mine"', 'Cache-Control': 'private' };
    const { simulator, access } = await loggedIn({ fault: 'headers', headers });
    const reply = await get(simulator, EVENT, access);
    expect(reply.status).toBe(200);
    expect(reply.setCookies).toEqual(['a=1', 'b=2']);
    expect(reply.headers).toMatchObject({ etag: '"mine"', 'cache-control': 'private' });
    expect((await sendLogin(simulator)).setCookies).toHaveLength(4);
  });
});

describe('matching', () => {
  it('meets only the method, path prefix and call it names', async () => {
    const { simulator, access } = await loggedIn({
      fault: 'status',
      match: { method: 'get', path: '/delivery/', call: 'data' },
    });
    expect((await get(simulator, EVENT, access)).status).toBe(503);
    expect((await get(simulator, '/search/api/v1/securities?search=A', access)).status).toBe(200);
    expect((await sendLogin(simulator)).status).toBe(200);
    const headers = { Authorization: `Bearer ${access}` };
    const posted = await call(`${simulator.url}/delivery/api/v1/__echo`, { method: 'POST', headers });
    expect(posted.status).toBe(200);
  });

  it('passes the first and strikes the next few', async () => {
    const { simulator, access } = await loggedIn({ fault: 'status', skip: 1, times: 2 });
    const statuses = [];
    for (let count = 0; count < 5; count++) statuses.push((await get(simulator, EVENT, access)).status);
    expect(statuses).toEqual([200, 503, 503, 200, 200]);
    expect(simulator.faults()[0]?.applied).toBe(2);
  });

  it('meets the first of several answers, and the next once that is spent', async () => {
    const { simulator, access } = await loggedIn({ fault: 'status', times: 1 }, { fault: 'unauthorized', times: 1 });
    const statuses = [];
    for (let count = 0; count < 3; count++) statuses.push((await get(simulator, EVENT, access)).status);
    expect(statuses).toEqual([503, 401, 200]);
  });

  it('answers early, while the upload is still under way', async () => {
    const { simulator, access } = await loggedIn({ fault: 'status', status: 413, early: true });
    const socket = connect(simulator.port, '127.0.0.1');
    socket.write(
      `POST /delivery/api/v1/__echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${access}\r\nContent-Length: 100\r\n\r\nhalf`,
    );
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toMatch(/^HTTP\/1.1 413 /);
    socket.destroy();
  });
});
