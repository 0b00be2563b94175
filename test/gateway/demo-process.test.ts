// The demo as a process: how it starts, how it refuses to, and that it leaves nothing behind.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { type DemoProcess, FREE_PORTS, runDemo, START, startDemo } from '../support/demo-process.ts';
import { call } from '../support/http-client.ts';
import { freePort } from '../support/redis-server.ts';

jest.setTimeout(60_000);

const demos: DemoProcess[] = [];
const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(demos.splice(0).map((demo) => demo.end()));
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function start(env?: Readonly<Record<string, string>>): Promise<DemoProcess> {
  const demo = await startDemo(env);
  demos.push(demo);
  return demo;
}

async function occupy(host: string): Promise<string> {
  const port = await freePort();
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return String(port);
}

async function expectNothingLeft({ url, simulatorUrl, managementUrl }: DemoProcess): Promise<void> {
  for (const address of [url, simulatorUrl, managementUrl]) await expect(call(address)).rejects.toThrow(/ECONNREFUSED/);
}

describe('the demo process', () => {
  test('serves the page, the health and the metrics at the addresses it prints', async () => {
    const demo = await start();
    expect(demo.output()).toContain('demo@finvera.test / demo-password');
    expect((await call(`${demo.url}/`)).text).toContain('<title>Finvera gateway: demo</title>');
    expect((await call(`${demo.url}/health/ready`)).status).toBe(200);
    expect((await call(`${demo.managementUrl}/metrics`)).status).toBe(200);
  });

  test('takes the ports it is told', async () => {
    const port = await freePort();
    const demo = await start({ DEMO_PORT: String(port) });
    expect(demo.url).toBe(`http://localhost:${port}`);
  });

  test('starts whatever variables of a gateway its user has set', async () => {
    const demo = await start({
      FINVERA_URL: 'https://finvera.invalid',
      FINVERA_SOMETHING: 'x',
      NODE_ENV: 'production',
      COOKIE_SECURE: 'true',
      REDIS_URL: 'redis://redis.invalid',
    });
    expect((await call(`${demo.url}/health/ready`)).status).toBe(200);
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends everything and exits with 0 on %s', async (signal) => {
    const demo = await start();
    expect(await demo.end(signal)).toBe(0);
    await expectNothingLeft(demo);
  });

  test('ends just the same when a signal comes twice', async () => {
    const demo = await start();
    demo.child.kill('SIGINT');
    expect(await demo.end('SIGINT')).toBe(0);
    await expectNothingLeft(demo);
  });

  test('ends when npm dies with the shell between them', async () => {
    const shell = spawn('sh', ['-c', '"$0" "$1"; :', process.execPath, START], {
      env: { ...process.env, ...FREE_PORTS, npm_lifecycle_event: 'demo' },
    });
    const ended = new Promise((resolve) => shell.stdout.once('end', resolve));
    const output = await new Promise<string>((resolve) => {
      let text = '';
      shell.stdout.on('data', (chunk) => {
        text += String(chunk);
        if (text.includes('Ctrl-C')) resolve(text);
      });
    });
    shell.kill('SIGTERM');
    await ended;
    for (const [address] of output.matchAll(/http:\/\/[\w.]+:\d+/g)) {
      await expect(call(address)).rejects.toThrow(/ECONNREFUSED/);
    }
  });

  test('ends with 1 when the gateway dies', async () => {
    const demo = await start();
    const { pid } = demo.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    expect(children).toHaveLength(1);
    const code = new Promise((resolve) => demo.child.once('close', resolve));
    process.kill(Number(children[0]), 'SIGKILL');
    expect(await code).toBe(1);
    await expectNothingLeft(demo);
  });
});

describe('a demo that cannot start', () => {
  test.each(['DEMO_PORT', 'DEMO_FINVERA_PORT', 'DEMO_MANAGEMENT_PORT'])(
    'says in one sentence that the port of %s is taken',
    async (variable) => {
      const port = await occupy('127.0.0.1');
      expect(await runDemo({ [variable]: port })).toEqual({
        code: 1,
        stdout: '',
        stderr: `Port ${port} is in use: end the program that holds it, or choose another port with ${variable}.\n`,
      });
    },
  );

  test('says so too where another program holds only the IPv6 side of localhost', async () => {
    const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    if (!addresses.some(({ address }) => address === '::1')) return; // such a machine has no such side
    const port = await occupy('::1');
    const { code, stderr } = await runDemo({ DEMO_PORT: port });
    expect(code).toBe(1);
    expect(stderr).toContain(`Port ${port} is in use`);
  });

  test.each(['99999', 'http'])('says what is wrong with the port %s', async (port) => {
    expect(await runDemo({ DEMO_PORT: port })).toEqual({
      code: 1,
      stdout: '',
      stderr: `DEMO_PORT must be a whole number from 0 to 65535, not '${port}'.\n`,
    });
  });

  test('says that two of its ports are the same', async () => {
    const port = String(await freePort());
    const { code, stderr } = await runDemo({ DEMO_PORT: port, DEMO_FINVERA_PORT: port });
    expect(code).toBe(1);
    expect(stderr).toBe(`DEMO_FINVERA_PORT and DEMO_PORT are both ${port}: each needs a port of its own.\n`);
  });
});
