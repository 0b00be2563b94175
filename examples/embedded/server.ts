// An Express application that had been there before, with the gateway mounted in it: `npm run build`, then `node examples/embedded/server.ts`.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createGateway } from 'finvera-gateway';

const gateway = createGateway({
  finveraUrl: process.env.FINVERA_URL ?? 'https://api.finvera.news',
  // For http://localhost. In production: publicUrl, sessionKeys and redisUrl, and no cookieSecure.
  cookieSecure: false,
  logLevel: 'warn',
});

const app = express();
// First, at the root: the gateway reads its bodies itself, and hands on what is not its own.
app.use(gateway.handler);
app.use(express.json());
app.get('/', (_req, res) => {
  res.type('html').send('<!doctype html><title>orders</title><h1>Orders</h1>');
});
app.post('/orders', (req, res) => {
  res.status(201).json({ received: req.body });
});

const server = createServer(app);
gateway.hardenServer(server);
server.on('upgrade', (req, socket, head) => {
  if (!gateway.upgrade(req, socket, head)) socket.destroy();
});
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`The application is at http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});

process.once('SIGTERM', async () => {
  gateway.beginDrain();
  server.close();
  server.closeIdleConnections();
  await gateway.close();
});
