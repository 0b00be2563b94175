// Methods that a route does not take: refused as they are, and smuggled in by no header, query or body that says another.
import { expect, test } from '@jest/globals';
import { expectProblem } from '../support/problem.ts';
import { startRawScene } from '../support/raw-scene.ts';
import { arrangeScene, loggedIn, routeTo } from '../support/scene.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';

const scene = arrangeScene();

test.each(['OPTIONS', 'PROPFIND'])('%s, which no route takes, is refused with Allow', async (method) => {
  const browser = await loggedIn(await scene.start());
  const reply = await browser.fetch(EVENT, { method });
  expectProblem(reply, 405, 'method_not_allowed');
  expect(reply.headers.allow?.toString().split(', ').sort()).toEqual(['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT']);
  expect(scene.simulator.requests('data')).toEqual([]);
});

test('the methods a route names are all it takes', async () => {
  const gateway = await scene.start({}, [routeTo('/delivery', { methods: ['GET'] })]);
  const browser = await loggedIn(gateway);
  const reply = await browser.fetch(EVENT, { method: 'POST', body: '{}' });
  expectProblem(reply, 405, 'method_not_allowed');
  expect(reply.headers.allow).toBe('GET, HEAD');
  expect((await browser.fetch(EVENT, { method: 'HEAD' })).status).toBe(200);
  expect(scene.simulator.requests('data')).toHaveLength(1);
});

test('no header, query or field of a body turns one method into another', async () => {
  const scene = await startRawScene({ settings: { routes: [routeTo('/delivery')] } });
  const { upstream, exchange, request } = scene;
  const lines = [
    'X-HTTP-Method: DELETE',
    'X-HTTP-Method-Override: DELETE',
    'X-Method-Override: DELETE',
    'X_HTTP_Method_Override: DELETE',
  ];
  expect(
    (await exchange(request('POST', '/delivery/x?_method=DELETE', [...lines, 'Content-Length: 14'], '_method=DELETE')))
      .statuses,
  ).toEqual([200]);
  expect(upstream.requests().at(-1)?.line).toBe('POST /delivery/x?_method=DELETE HTTP/1.1');
  expect(upstream.requests().at(-1)?.lines.join('\n')).not.toMatch(/override|http.method/i);
  expect((await exchange(request('GET', '/bff/logout', ['X-HTTP-Method-Override: POST']))).statuses).toEqual([405]);
  expect((await exchange(request('GET', '/bff/logout?_method=POST'))).statuses).toEqual([405]);
  expect((await exchange(request('GET', '/bff/session'))).statuses).toEqual([200]);
  await scene.close();
});
