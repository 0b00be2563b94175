import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import { createStaticFolder } from '../../../src/frontend/static-folder.ts';
import { call } from '../../support/http-client.ts';

let folder: string;
let server: Server;
let url: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'finvera-frontend-'));
  mkdirSync(join(folder, 'public/assets'), { recursive: true });
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  for (const [file, text] of [
    ['index.html', '<html>index</html>'],
    ['robots.txt', 'robots'],
    ['.env', 'secret'],
    ['assets/app-3f9a8b7c.js', 'app'],
    ['assets/app.js', 'app'],
  ] as const) {
    writeFileSync(join(folder, 'public', file), text);
  }
  const app = express();
  const frontend = createStaticFolder(join(folder, 'public'));
  app.use((req, res, next) => frontend.handle(req, res, next));
  app.use((_req, res) => void res.status(404).end('none'));
  server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const PAGE = { Accept: 'text/html,*/*' };

describe('createStaticFolder', () => {
  test('serves files, to be asked for again each time', async () => {
    const reply = await call(`${url}/robots.txt`);
    expect(reply).toMatchObject({ status: 200, text: 'robots' });
    expect(reply.headers['cache-control']).toBe('no-cache');
    expect(reply.headers['x-content-type-options']).toBe('nosniff');
  });

  test('lets browsers keep for ever what bears a hash in its name', async () => {
    expect((await call(`${url}/assets/app-3f9a8b7c.js`)).headers['cache-control']).toBe(
      'public, max-age=31536000, immutable',
    );
    expect((await call(`${url}/assets/app.js`)).headers['cache-control']).toBe('no-cache');
  });

  test.each(['/', '/orders/7', '/a/b/'])('serves the index for the page %s', async (path) => {
    const reply = await call(url + path, { headers: PAGE });
    expect(reply).toMatchObject({ status: 200, text: '<html>index</html>' });
    expect(reply.headers['cache-control']).toBe('no-cache');
  });

  test.each([
    ['a file that is missing', '/missing.js', PAGE],
    ['what is not asked for as a page', '/orders/7', { Accept: 'application/json' }],
  ])('passes on %s', async (_, path, headers) => {
    expect(await call(url + path, { headers })).toMatchObject({ status: 404, text: 'none' });
  });

  test.each(['/.env', '/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt'])('never serves %s', async (path) => {
    expect((await call(url + path, { headers: PAGE })).text).not.toContain('secret');
  });

  test.each(['POST', 'PUT', 'DELETE'])('passes %s on', async (method) => {
    expect((await call(`${url}/robots.txt`, { method })).status).toBe(404);
  });

  test('answers HEAD', async () => {
    expect(await call(`${url}/robots.txt`, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });
});
