// A page that mints keys or calls Finvera's auth calls itself: /kms is no route unless asked for, and even then nothing below auth passes.
import { expect, test } from '@jest/globals';
import { expectProblem } from '../support/problem.ts';
import { exchangeRaw, rawRequest, rawStatus } from '../support/raw-http.ts';
import { arrangeScene, loggedIn, routeTo } from '../support/scene.ts';

const scene = arrangeScene();

const SPELLINGS = [
  '/kms/api/v1/auth',
  '/kms/api/v1/auth/',
  '/kms/api/v1/auth/keys',
  '/kms/api/v1/auth/token/',
  '/kms/api/v1/auth/token/x',
  '/KMS/api/v1/auth/token',
  '/kms/API/V1/Auth/Token',
  '/kms/api/v1/AUTH/refresh',
  '/kms//api/v1/auth/token',
  '/kms/api//v1/auth/token',
  '//kms/api/v1/auth/token',
  '/kms/api/v1/./auth/token',
  '/kms/x/../api/v1/auth/token',
  '/delivery/../kms/api/v1/auth/token',
  '/kms/%2e/api/v1/auth/token',
  '/kms/x/%2e%2e/api/v1/auth/token',
  '/kms/x/%2E./api/v1/auth/token',
  '/kms/x/..;/api/v1/auth/token',
  '/kms/api/v1/%61uth/keys',
  '/kms/api/v1/%61%75%74%68/keys',
  '/kms/api/v1/%41uth/token',
  '/%6bms/api/v1/auth/keys',
  '/kms%2fapi/v1/auth/token',
  '/kms/api/v1%2fauth/token',
  '/kms/api/v1/auth%2ftoken',
  '/kms/api/v1/auth%2Ftoken',
  '/kms/api/v1/auth%5ctoken',
  '/kms/api/v1\\auth\\token',
  '/kms/api/v1/auth;v=1/token',
  '/kms;x/api/v1/auth/token',
  '/kms/api/v1/auth%3bv=1/token',
  '/kms/api/v1/auth%20/token',
  '/kms/api/v1/auth./token',
  '/kms/api/v1/auth%00/token',
  '/kms/api/v1/auth%09/token',
  '/kms/api/v1/%2561uth/token',
  '/kms/api/v1/%25%36%31uth/token',
  '/kms/api/v1/auth%252ftoken',
  '/kms/api/v1/%ef%bd%81uth/token',
  '/kms/api/v1/auth/%2e',
  '/kms/api/v1/auth/token%3f',
  '/kms/api/v1/auth/token%23',
  '/kms/api/v1/auth#/token',
  '/kms/api/v1/aut%u0068/token',
  '/kms/api/v1/%c1%a1uth/token',
  'kms/api/v1/auth/token',
  'http://127.0.0.1/kms/api/v1/auth/keys',
  'HTTP://127.0.0.1//kms/api/v1/auth/token',
];

test('forwards accounts and keys, and nothing below the auth calls in any spelling', async () => {
  const gateway = await scene.start({}, [routeTo('/kms', { methods: ['GET', 'POST'] }), routeTo('/delivery')]);
  const { cookie = '' } = await loggedIn(gateway);
  const before = scene.simulator.requests().length;
  for (const method of ['GET', 'POST']) {
    for (const spelling of SPELLINGS) {
      const lines = [`Cookie: ${cookie}`, 'Sec-Fetch-Site: same-origin', 'Content-Length: 0'];
      const answer = await exchangeRaw(gateway.port, rawRequest(method, spelling, lines));
      expect([spelling, rawStatus(answer)]).toEqual([spelling, expect.any(Number)]);
      expect([400, 404, 405]).toContain(rawStatus(answer));
    }
  }
  expect(scene.simulator.requests().slice(before)).toEqual([]);

  const lines = [`Cookie: ${cookie}`, 'Sec-Fetch-Site: same-origin'];
  for (const path of ['/kms/api/v1/__echo', '/kms/api/v1/authors/__echo', '/kms/api/v2/auth']) {
    await exchangeRaw(gateway.port, rawRequest('GET', path, lines));
    expect(scene.simulator.requests().at(-1)?.url).toBe(path);
  }
});

test('/kms is no route of the shipped settings: no script on the page makes a key', async () => {
  const gateway = await scene.start();
  const browser = await loggedIn(gateway);
  const before = scene.simulator.requests().length;
  for (const method of ['GET', 'POST', 'DELETE'])
    for (const path of ['/kms', '/kms/api/v1/keys', '/kms/api/v1/accounts'])
      expectProblem(await browser.fetch(path, { method }), 404, 'not_found');
  expect(scene.simulator.requests()).toHaveLength(before);
});
