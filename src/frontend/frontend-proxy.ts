/**
 * Proxies the web frontend from a dev server or a web container, with http-proxy-middleware. No credential passes here:
 * what goes to Finvera goes through `forwarding/` (ADR-0001).
 */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { NextFunction, Request, Response } from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { GatewayError } from '../kernel/errors.ts';
import { VIA } from '../kernel/via.ts';
import { stripCredentials, withoutSessionSetCookie } from './strip-credentials.ts';

export interface Frontend {
  handle(req: Request, res: Response, next: NextFunction): void;
  /** A dev server's WebSocket; absent where there is none to speak to. */
  upgrade?(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const PROXY_TIMEOUT_MS = 60_000;

/** @param bodyTimeoutMs for the whole body of a request: who sends it byte by byte would hold two connections for ever. */
export function createFrontendProxy(url: string, bodyTimeoutMs: number): Frontend {
  const failures = new WeakMap<ServerResponse, NextFunction>();
  const asking = new WeakMap<IncomingMessage, ClientRequest>();
  const proxy = createProxyMiddleware<Request, Response>({
    target: url,
    changeOrigin: true,
    xfwd: true,
    // Never `ws: true`: after one request its upgrade listener would take every upgrade, past every guard.
    ws: false,
    proxyTimeout: PROXY_TIMEOUT_MS,
    on: {
      proxyReq: (proxyReq, req, res) => {
        asking.set(req, proxyReq);
        // Nobody asked for another protocol: without this the request would wait until it is too late for any answer.
        proxyReq.once('upgrade', (_answer, socket) => {
          socket.destroy();
          failures.get(res)?.(
            new GatewayError('upstream_invalid', { detail: 'The web frontend gave no valid answer.' }),
          );
        });
      },
      proxyRes: (proxyRes) => {
        makeWritable(proxyRes);
        const cookies = proxyRes.headers['set-cookie'];
        if (!cookies) return;
        const kept = withoutSessionSetCookie(cookies);
        if (kept.length > 0) proxyRes.headers['set-cookie'] = kept;
        else delete proxyRes.headers['set-cookie'];
      },
      error: (cause, _req, target) => {
        const next = failures.get(target as ServerResponse);
        if (next) next(new GatewayError('upstream_refused', { detail: 'The web frontend cannot be reached.', cause }));
        else (target as Socket).destroy();
      },
    },
  });
  return {
    handle(req, res, next) {
      stripCredentials(req);
      // A frontend's address that leads back here shows as a loop, instead of going round for ever.
      req.headers.via = VIA;
      failures.set(res, next);
      if (announcesBody(req)) {
        const timer = setTimeout(() => {
          if (res.headersSent) return void req.destroy();
          // The answer is ours from here on: what ends at the frontend with it is no news.
          failures.set(res, () => undefined);
          next(new GatewayError('request_timeout'));
          asking.get(req)?.destroy();
        }, bodyTimeoutMs);
        for (const over of ['end', 'close']) req.once(over, () => clearTimeout(timer));
      }
      void proxy(req, res, next);
    },
    upgrade(req, socket, head) {
      stripCredentials(req);
      req.headers.via = VIA;
      void proxy.upgrade(req as Request, socket as Socket, head);
    },
  };
}

const UNWRITABLE = /[^\t\x20-\x7e\x80-\xff]/;

/** What Node's parser lets through and its server throws at, in a callback that nobody catches: the process would end. */
function makeWritable(answer: IncomingMessage): void {
  const { statusCode = 0, statusMessage = '' } = answer;
  delete answer.headers.trailer;
  if (statusCode < 200 || statusCode > 599) {
    answer.statusCode = 502;
    answer.statusMessage = '';
  } else if (UNWRITABLE.test(statusMessage)) {
    answer.statusMessage = '';
  }
}

const announcesBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
