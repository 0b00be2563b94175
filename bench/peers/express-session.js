// A peer of the benchmark: Express 5 with express-session, connect-redis and http-proxy-middleware, as their documentation puts them together.
import { Agent } from 'node:http';
import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { createClient } from 'redis';
import { ACCESS_TOKEN, IDLE_SECONDS, REFRESH_TOKEN } from '../job.ts';

const { PORT, REDIS_URL, UPSTREAM_URL } = process.env;

const client = createClient({ url: REDIS_URL });
await client.connect();

const app = express();
app.disable('x-powered-by');
app.use(
  session({
    store: new RedisStore({ client, prefix: 'express:', ttl: IDLE_SECONDS }),
    secret: 'a secret of the benchmark',
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'strict' },
  }),
);

app.post('/login', (req, res) => {
  req.session.tokens = { access: ACCESS_TOKEN, refresh: REFRESH_TOKEN };
  res.sendStatus(204);
});

app.use('/delivery', (req, res, next) => {
  const { tokens } = req.session;
  if (!tokens) return res.sendStatus(401);
  // Before the proxy: in its own hook the cookie would have left already where the client sends Expect: 100-continue.
  delete req.headers.cookie;
  req.headers.authorization = `Bearer ${tokens.access}`;
  next();
});
app.use(
  createProxyMiddleware({
    target: UPSTREAM_URL,
    pathFilter: '/delivery',
    changeOrigin: true,
    agent: new Agent({ keepAlive: true, maxSockets: 512 }),
  }),
);

const server = app.listen(Number(PORT), '127.0.0.1');
server.keepAliveTimeout = 65_000;
