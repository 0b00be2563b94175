// What a stranger calls itself, on the operator's terminal: no command of the gateway's prints a character that moves a cursor,
// ends a line or turns text around, in a table or in JSON.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { operate } from '../support/operator.ts';
import { exchangeRaw, rawStatus } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';

const KEYS = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };
/** A control sequence of one byte, a next line, a delete, and what a reader of UTF-8 would make a direction mark of. */
const HOSTILE = '\x9b2J\x9b31mroot\x85admin\x9d0;owned\x9c\u00e2\u0080\u00ae';

let redis: TestRedis;
let simulator: Simulator;

beforeAll(async () => {
  redis = await startRedis();
  simulator = await createSimulator();
});
afterEach(closeGateways);
afterAll(async () => {
  await simulator.close();
  await redis.close();
});

test('a user agent full of control sequences is shown as text by every command', async () => {
  const env = { REDIS_URL: redis.url, ...KEYS };
  const gateway = await startGateway(simulator, { env });
  const body = JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' });
  const answer = await exchangeRaw(
    gateway.port,
    Buffer.from(
      [
        'POST /bff/login HTTP/1.1',
        'Host: x',
        'Sec-Fetch-Site: same-origin',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        `User-Agent: ${HOSTILE}`,
        'Connection: close',
        '',
        body,
      ].join('\r\n'),
      'latin1',
    ),
  );
  expect(rawStatus(answer)).toBe(200);
  const listed = await operate('sessions list --all --json', env);
  const [{ id }] = JSON.parse(listed.stdout).sessions;
  for (const command of [
    'sessions list --all',
    'sessions list --all --json',
    `sessions show ${id}`,
    `sessions show ${id} --json`,
  ]) {
    const { code, stdout, stderr } = await operate(command, env);
    expect([command, code]).toEqual([command, 0]);
    expect(stdout).toContain('2J');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
    expect([command, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/.exec(stdout + stderr)]).toEqual([command, null]);
  }
  // JSON is still what it was: whoever parses it gets the agent as it came.
  expect(JSON.parse(listed.stdout).sessions[0].user_agent).toBe(HOSTILE);
});
