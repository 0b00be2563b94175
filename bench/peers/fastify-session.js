// A peer of the benchmark: Fastify 5 with @fastify/session, a Redis store and @fastify/http-proxy, as their documentation puts them together.
import cookie from '@fastify/cookie';
import proxy from '@fastify/http-proxy';
import session from '@fastify/session';
import { RedisStore } from 'connect-redis';
import fastify from 'fastify';
import { createClient } from 'redis';
import { ACCESS_TOKEN, IDLE_SECONDS, REFRESH_TOKEN } from '../job.ts';

const { PORT, REDIS_URL, UPSTREAM_URL } = process.env;

const client = createClient({ url: REDIS_URL });
await client.connect();

const app = fastify({ logger: false, keepAliveTimeout: 65_000 });
await app.register(cookie);
await app.register(session, {
  secret: 'a secret of the benchmark, 32 characters or more',
  store: new RedisStore({ client, prefix: 'fastify:', ttl: IDLE_SECONDS }),
  saveUninitialized: false,
  // Off, it would not keep the session of an active user alive; its default, as of the others.
  rolling: true,
  cookie: { secure: false, httpOnly: true, sameSite: 'strict', maxAge: IDLE_SECONDS * 1_000 },
});

app.post('/login', async (request, reply) => {
  request.session.tokens = { access: ACCESS_TOKEN, refresh: REFRESH_TOKEN };
  return reply.code(204).send();
});

await app.register(proxy, {
  upstream: UPSTREAM_URL,
  prefix: '/delivery',
  rewritePrefix: '/delivery',
  undici: { connections: 512, pipelining: 1 },
  preHandler: async (request, reply) => {
    if (!request.session.tokens) return reply.code(401).send();
  },
  replyOptions: {
    rewriteRequestHeaders: (request, { cookie: _, ...headers }) => ({
      ...headers,
      authorization: `Bearer ${request.session.tokens.access}`,
    }),
  },
});

await app.listen({ port: Number(PORT), host: '127.0.0.1' });
