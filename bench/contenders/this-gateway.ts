// The gateway as it is shipped: compiled, in production mode, metrics and request log on, sessions in Redis.
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from '../../test/support/built-gateway.ts';
import { MEMORY_FLAGS } from '../../test/support/memory-flags.ts';
import { freePort } from '../../test/support/redis-server.ts';
import { type Contender, type Stage, startProcess } from '../contender.ts';
import { forgeSessions, SESSION_KEYS } from '../forge.ts';

const LOG_TAIL_CHARS = 2_000;
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export interface GatewayUnderTest {
  readonly port: number;
  readonly managementPort: number;
  readonly pid: number;
  end(): Promise<void>;
}

/** Its log goes to a file of the stage. @param main default: that of `dist/`. */
export async function startGateway(
  { redisUrl, upstreamPort, folder }: Stage,
  env: Readonly<Record<string, string>> = {},
  main = MAIN,
): Promise<GatewayUnderTest> {
  ensureBuilt();
  const [port, managementPort] = await Promise.all([freePort(), freePort()]);
  const logFile = join(folder, 'gateway.log');
  const log = openSync(logFile, 'a');
  const started = await startProcess(process.execPath, [...MEMORY_FLAGS, main], port, {
    env: {
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: String(port),
      MANAGEMENT_PORT: String(managementPort),
      PUBLIC_URL: 'https://app.finvera.test',
      FINVERA_URL: `http://127.0.0.1:${upstreamPort}`,
      REDIS_URL: redisUrl,
      SESSION_KEYS,
      LOG_LEVEL: 'info',
      SHUTDOWN_DELAY: '0s',
      ...env,
    },
    // Its two warnings about unencrypted addresses are no news here.
    stdio: ['ignore', log, log],
  }).catch((cause: unknown) => {
    throw new Error(`the gateway does not start: ${readFileSync(logFile, 'utf8').slice(-LOG_TAIL_CHARS)}`, { cause });
  });
  closeSync(log);
  return { port, managementPort, ...started };
}

export const thisGateway: Contender = {
  name: 'gateway',
  label: 'this gateway',
  description:
    '`dist/main.js` with `NODE_ENV=production`, metrics on, one request log line a request into a file, sessions sealed in Redis and cached in the process',
  async start(stage) {
    const [cookie = ''] = await forgeSessions(stage.redisUrl, 1);
    return { ...(await startGateway(stage)), credential: ['Cookie', cookie] };
  },
};
