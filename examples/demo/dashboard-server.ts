// Serves the built dashboard and the demo's controls on one loopback port, to be reached through the gateway alone.
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import type { ActivityFeed } from './activity-feed.ts';
import type { DemoControls } from './demo-controls.ts';

export interface DashboardServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface DashboardServerParts {
  /** With index.html. */
  readonly folder: string;
  readonly controls: DemoControls;
  readonly activity: ActivityFeed;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** The page needs nothing from anywhere else, and nothing inline. */
const PAGE_HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};
const MAX_BODY_BYTES = 1_024;

export async function startDashboardServer(parts: DashboardServerParts): Promise<DashboardServer> {
  const server = createServer((request, response) => {
    answer(request, response, parts).catch((error: unknown) => {
      console.error(`  The dashboard's server failed: ${error}`);
      if (!response.headersSent) end(response, 500);
      else response.destroy();
    });
  });
  await listen(server);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, parts: DashboardServerParts): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://demo');
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (!pathname.startsWith('/demo/')) {
    return isRead ? await sendFile(pathname, response, parts.folder) : end(response, 405);
  }
  if (isRead && pathname === '/demo/activity') return parts.activity.follow(response);
  if (isRead && pathname === '/demo/state') return sendJson(response, parts.controls.state());
  if (request.method !== 'POST') return end(response, 404);
  // Any page on the web may send a form to localhost: not to these.
  if (!isOwnPage(request)) return end(response, 403);
  const done = await parts.controls.change(pathname.slice('/demo/'.length), await readBody(request));
  if (done === undefined) return end(response, 404);
  parts.activity.noteChange(done);
  sendJson(response, parts.controls.state());
}

const isOwnPage = ({ headers }: IncomingMessage): boolean =>
  headers['sec-fetch-site'] === 'same-origin' && headers['content-type'] === 'application/json';

async function sendFile(path: string, response: ServerResponse, folder: string): Promise<void> {
  // No dots but the one before the ending: nothing above the folder, nothing hidden.
  const name = /^(?:\/[\w-]+)*\/[\w-]+\.\w+$/.test(path) ? path : '/index.html';
  try {
    const content = await readFile(join(folder, name));
    const type = TYPES[extname(name)] ?? 'application/octet-stream';
    const cache = name.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
    response.writeHead(200, { ...PAGE_HEADERS, 'Content-Type': type, 'Cache-Control': cache }).end(content);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    end(response, 404);
  }
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MAX_BODY_BYTES) return {};
  }
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function sendJson(response: ServerResponse, body: unknown): void {
  response
    .writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
    .end(JSON.stringify(body));
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}
