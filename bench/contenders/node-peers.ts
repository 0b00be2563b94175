// The contenders that are Node programs below `bench/peers`: two stacks of well-known packages, and a proxy without sessions.
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/redis-server.ts';
import { type Contender, type Stage, startProcess } from '../contender.ts';

async function startPeer(file: string, { redisUrl, upstreamPort }: Stage) {
  const port = await freePort();
  const program = fileURLToPath(new URL(`../peers/${file}`, import.meta.url));
  const started = await startProcess(process.execPath, [program], port, {
    env: {
      NODE_ENV: 'production',
      PORT: String(port),
      REDIS_URL: redisUrl,
      UPSTREAM_URL: `http://127.0.0.1:${upstreamPort}`,
    },
  });
  return { port, ...started };
}

/** The peers put the fixed tokens into a new session. @returns its cookie. */
function logIn(port: number, agent: Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path: '/login', method: 'POST', agent }, (answer) => {
      answer.resume();
      const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0];
      if (cookie) resolve(cookie);
      else reject(new Error(`the login answered ${answer.statusCode} without a cookie`));
    });
    sent.once('error', reject);
    sent.end();
  });
}

const LOGIN_WIDTH = 32;

/** @returns the cookies of this many new sessions. */
export async function logInMany(port: number, count: number): Promise<string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: LOGIN_WIDTH });
  const cookies: string[] = [];
  const oneByOne = async () => {
    while (cookies.length < count) cookies.push(await logIn(port, agent));
  };
  await Promise.all(Array.from({ length: LOGIN_WIDTH }, oneByOne));
  agent.destroy();
  return cookies;
}

const withSessions = (file: string): Contender['start'] => {
  return async (stage) => {
    const started = await startPeer(file, stage);
    return { ...started, credential: ['Cookie', await logIn(started.port)] };
  };
};

export const expressSession: Contender = {
  name: 'express-session',
  label: 'express-session + http-proxy-middleware',
  description:
    'Express 5, express-session with connect-redis, http-proxy-middleware 4 with a keep-alive agent; no metrics, no log',
  start: withSessions('express-session.js'),
};

export const fastifySession: Contender = {
  name: 'fastify-session',
  label: 'fastify + @fastify/session + @fastify/http-proxy',
  description:
    'Fastify 5, @fastify/session with the same Redis store, @fastify/http-proxy (undici); no metrics, no log',
  start: withSessions('fastify-session.js'),
};

export const bareProxy: Contender = {
  name: 'bare-proxy',
  label: 'bare Node proxy, no session',
  description: '`node:http` and undici, a fixed bearer for everyone: what forwarding costs in Node before any session',
  start: async (stage) => ({ ...(await startPeer('bare-proxy.ts', stage)), credential: undefined }),
};
