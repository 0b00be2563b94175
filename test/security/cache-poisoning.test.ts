// Cache poisoning: somebody changes, with something that is not in the key, what others are shown; or makes two different requests look like one.
import { afterEach, describe, expect, test } from '@jest/globals';
import { closeCachedScenes, ENTERPRISE_2, startCachedScene } from '../support/cached-scene.ts';
import { exchangeRaw } from '../support/raw-http.ts';
import type { Script } from '../support/scripted-upstream.ts';

afterEach(closeCachedScenes);

const PATH = '/delivery/api/v1/events';
const EVIL = 'evil-value';

/** A Finvera that repeats all it is told: whatever reaches it shows. */
const mirror: Script = ({ method, url, rawHeaders }, count) => ({
  body: JSON.stringify({ count, method, url, rawHeaders: rawHeaders.filter((part) => !part.startsWith('Bearer ')) }),
});

describe('something unkeyed', () => {
  test.each([
    'X-Forwarded-Host',
    'X-Forwarded-Scheme',
    'X-Forwarded-Prefix',
    'Forwarded',
    'X-Host',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-HTTP-Method-Override',
    'X-Api-Version',
    'X-Role',
    'Accept',
    'Accept-Language',
    'Accept-Encoding',
    'User-Agent',
    'Referer',
    'Origin',
    'Cookie',
    'Authorization',
    'Range',
    'If-Range',
    'If-None-Match',
    'Cache-Control',
    'Content-Type',
    'Max-Forwards',
    'Te',
    'X-Request-Id',
    'Traceparent',
  ])('in %s is shown to nobody else', async (name) => {
    const { user } = await startCachedScene({ script: mirror });
    const [attacker, victim] = [await user(), await user(ENTERPRISE_2)];
    const cookie = name === 'Cookie' ? `${attacker.cookie}; a=${EVIL}` : undefined;
    const origin = name === 'Origin' ? { 'Sec-Fetch-Site': 'same-origin' } : {};
    await attacker.fetch(PATH, { headers: { [name]: cookie ?? EVIL, ...origin } });
    const theirs = await victim.fetch(PATH);
    expect(theirs.status).toBe(200);
    expect(theirs.text + JSON.stringify(theirs.headers)).not.toContain(EVIL);
  });

  test.each([
    ['a parameter that is left out', `${PATH}?a=1&utm_source=${EVIL}`],
    ['one after a semicolon', `${PATH}?a=1;utm_source=${EVIL}`],
    ['one that is encoded', `${PATH}?a=1&%75tm_source=${EVIL}`],
    ['one in capitals', `${PATH}?a=1&UTM_SOURCE=${EVIL}`],
    ['an encoded separator', `${PATH}?a=1%26b=${EVIL}`],
    ['the same one twice', `${PATH}?a=1&a=${EVIL}`],
    ['a list', `${PATH}?a[]=${EVIL}&a=1`],
    ['a fragment', `${PATH}?a=1%23${EVIL}`],
  ])('in the query, as %s, is shown to nobody else', async (_name, poisoned) => {
    const { user } = await startCachedScene({ script: mirror });
    const [attacker, victim] = [await user(), await user(ENTERPRISE_2)];
    await attacker.fetch(poisoned);
    const theirs = await victim.fetch(`${PATH}?a=1`);
    expect(theirs.status).toBe(200);
    expect(theirs.text).not.toContain(EVIL);
  });

  test('in a body that a GET brings, or another method, is shown to nobody else', async () => {
    const { user } = await startCachedScene({ script: mirror });
    const [attacker, victim] = [await user(), await user(ENTERPRISE_2)];
    await attacker.fetch(PATH, { body: EVIL, headers: { 'Content-Length': String(EVIL.length) } });
    await attacker.fetch(PATH, { method: 'POST', body: EVIL });
    expect(JSON.parse((await victim.fetch(PATH)).text)).toMatchObject({ count: 3, method: 'GET', url: PATH });
  });

  test('in the Host is shown to nobody else', async () => {
    const { gateway, user } = await startCachedScene({ script: mirror });
    const [attacker, victim] = [await user(), await user(ENTERPRISE_2)];
    const head = `GET ${PATH} HTTP/1.1\r\nHost: ${EVIL}.test\r\nCookie: ${attacker.cookie}\r\nConnection: close\r\n\r\n`;
    await exchangeRaw(gateway.port, head);
    expect((await victim.fetch(PATH)).text).not.toContain(EVIL);
  });

  test('that makes Finvera or the gateway fail leaves no error for others', async () => {
    const { user } = await startCachedScene({
      script: ({ headers }, count) =>
        headers['x-break']
          ? { status: 400, headers: ['Cache-Control', 'public, max-age=600'] }
          : { body: `good ${count}` },
    });
    const [attacker, victim] = [await user(), await user(ENTERPRISE_2)];
    expect((await attacker.fetch(PATH, { headers: { 'X-Break': '1' } })).status).toBe(400);
    expect((await attacker.fetch(PATH, { headers: { 'X-Long': 'x'.repeat(20_000) } })).status).toBe(431);
    expect((await victim.fetch(PATH)).text).toBe('good 2');
  });
});

describe('two requests that are not the same', () => {
  test.each([
    ['/delivery/a/b', '/delivery/a%2Fb'],
    ['/delivery/a', '/delivery/a/'],
    ['/delivery/a', '/delivery/A'],
    ['/delivery/a?b', '/delivery/a%3Fb'],
    ['/delivery/a?b=1', '/delivery/a?b=1&b='],
    ['/delivery/a?b=1&c=2', '/delivery/a?b=1%26c=2'],
    ['/delivery/a?b=c%3Dd', '/delivery/a?b%3Dc=d'],
    ['/delivery/a?b=%2B', '/delivery/a?b=+'],
    ['/delivery/a?b=%00', '/delivery/a?b='],
    ['/delivery/a?x=1', '/delivery/a?x=1%0A'],
  ])('have an answer each: %s and %s', async (one, other) => {
    const { user } = await startCachedScene({ script: mirror });
    const browser = await user();
    const [first, second] = [await browser.fetch(one), await browser.fetch(other)];
    if (second.status === 200) expect(JSON.parse(second.text).count).toBe(2);
    else expect([second.status, first.status]).toEqual([400, 200]);
  });
});
