// Redirects: Finvera's are passed, never followed, so that no token goes elsewhere; its own host never shows; and nothing a
// client sends makes the gateway redirect anywhere (ATK-R1, RFC 10017 §6.1.3.6).
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { accessTokenOf, rawAnswer } from '../support/raw-upstream.ts';

let scene: RawScene;
let elsewhere: Server;
let port = 0;
let calls = 0;

beforeAll(async () => {
  elsewhere = createServer((socket) => {
    calls += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  port = (elsewhere.address() as { port: number }).port;
  scene = await startRawScene();
});
afterAll(async () => {
  await scene.close();
  await new Promise((resolve) => elsewhere.close(resolve));
});

async function locationFor(location: string, status = '302 Found') {
  scene.upstream.answer(rawAnswer('', [`Location: ${location}`, `Content-Location: ${location}`], status));
  const { answers } = await scene.exchange(scene.request('GET', '/delivery/x'));
  expect(answers[0]?.status).toBe(Number(status.slice(0, 3)));
  expect(answers[0]?.values('content-location')).toEqual(answers[0]?.values('location'));
  return answers[0]?.values('location')[0];
}

test('a redirect of Finvera’s is never followed, so that the token goes nowhere else', async () => {
  for (const status of [
    '301 Moved',
    '302 Found',
    '303 See Other',
    '307 Temporary',
    '308 Permanent',
    '300 Choices',
    '201 Created',
  ]) {
    const before = scene.upstream.requests().length;
    for (const location of [
      `http://127.0.0.1:${port}/steal`,
      `//127.0.0.1:${port}/steal`,
      'http://169.254.169.254/latest',
    ]) {
      expect(await locationFor(location, status)).toBe(location);
    }
    expect(scene.upstream.requests()).toHaveLength(before + 3);
  }
  expect(calls).toBe(0);
});

describe('a Location of Finvera’s', () => {
  test('on its own host becomes a path of the gateway’s, in whatever spelling, and never another host’s', async () => {
    const host = `127.0.0.1:${scene.upstream.port}`;
    for (const location of [
      `http://${host}/delivery/y`,
      `HTTP://${host}/delivery/y`,
      `//${host}/delivery/y`,
      `http://user:pw@${host}/delivery/y`,
      `http://${host}//evil.test/y`,
      `http://${host}/\\evil.test/y`,
      `http://${host}///evil.test/y`,
      `http://${host}/%2f%2fevil.test`,
      `http://${host}/..//evil.test/y`,
      `http://${host}`,
      `https://${host}/delivery/y`,
    ]) {
      const passed = await locationFor(location);
      expect([location, passed]).toEqual([location, expect.stringMatching(/^\/(?![/\\])/)]);
      expect([location, new URL(passed ?? '', 'https://app.test').host]).toEqual([location, 'app.test']);
      expect(passed).not.toContain(host);
      expect(passed).not.toContain('pw');
    }
  });

  test('that holds what splits an answer is no location at all', async () => {
    for (const value of ['/x\rSet-Cookie: a=b', '/x\0', '/x\x0b']) {
      scene.upstream.answer(rawAnswer('', [`Location: ${value}`], '302 Found'));
      const { text } = await scene.exchange(scene.request('POST', '/delivery/x', ['Content-Length: 0']));
      expect(text).not.toMatch(/^set-cookie|^location/im);
    }
  });
});

test('nothing that a client sends makes the gateway redirect', async () => {
  scene.upstream.answer(rawAnswer());
  const PAYLOADS = [
    '//evil.test',
    '/\\evil.test',
    '/%09/evil.test',
    'https:evil.test',
    'https:///evil.test',
    'http://own@evil.test',
    'javascript:alert(1)',
    'data:text/html,x',
    '/x%0d%0aSet-Cookie:a=b',
    '/..//evil.test',
    '%E2%80%A8',
    'a'.repeat(5_000),
  ];
  for (const payload of PAYLOADS) {
    for (const name of [
      'returnTo',
      'return_to',
      'redirect',
      'redirect_uri',
      'next',
      'url',
      'continue',
      'post_logout_redirect_uri',
    ]) {
      for (const [method, path] of [
        ['GET', '/bff/session'],
        ['POST', '/bff/logout'],
        ['GET', '/nothing'],
      ] as const) {
        if (path === '/bff/logout' && name !== 'returnTo') continue;
        const lines = path === '/bff/logout' ? ['Content-Length: 0'] : [];
        const request = `${method} ${path}?${name}=${payload}&${name}=${payload} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.map((line) => `${line}\r\n`).join('')}Sec-Fetch-Site: same-origin\r\nConnection: close\r\n\r\n`;
        const { statuses, text } = await scene.exchange(request);
        expect([statuses[0] === 302 || /^(location|refresh):/im.test(text), text.includes('evil.test')]).toEqual([
          false,
          false,
        ]);
      }
    }
  }
  expect(scene.upstream.received()).not.toContain(`evil.test HTTP`);
  expect(scene.upstream.received()).toContain(accessTokenOf('demo@finvera.test'));
});
