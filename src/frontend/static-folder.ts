/** Serves a built web frontend from a folder, with index.html for client-side routes. No Content-Security-Policy of ours. */
import { join } from 'node:path';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { Frontend } from './frontend-proxy.ts';

/** Build tools put a hash of the content into the name: such a file never changes. */
const HASHED = /[.-][A-Za-z0-9_-]{8,}\.(?:js|mjs|css|woff2?|png|jpe?g|svg|webp|avif|gif|ico|map|wasm)$/;
const YEAR = 'public, max-age=31536000, immutable';

/** @param folder holds index.html; dot files and what lies outside are not served. */
export function createStaticFolder(folder: string): Frontend {
  const files = express.static(folder, {
    dotfiles: 'ignore',
    index: 'index.html',
    redirect: false,
    setHeaders: (res, path) => {
      res.setHeader('Cache-Control', HASHED.test(path) ? YEAR : 'no-cache');
      res.setHeader('X-Content-Type-Options', 'nosniff');
    },
  });
  const index = join(folder, 'index.html');
  return {
    handle(req, res, next) {
      if (req.method !== 'GET' && req.method !== 'HEAD') return next();
      files(req, res, (error?: unknown) => {
        if (error) return next(error);
        if (!wantsPage(req)) return next();
        sendIndex(res, index, next);
      });
    },
  };
}

/** A path of the application's own router: asked for as a page, not as a file that is missing. */
function wantsPage(req: Request): boolean {
  const last = req.path.split('/').at(-1) ?? '';
  return !last.includes('.') && (req.headers.accept ?? '').includes('text/html');
}

function sendIndex(res: Response, index: string, next: NextFunction): void {
  res.setHeader('Cache-Control', 'no-cache');
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.sendFile(index, { cacheControl: false }, (error) => {
    if (error) next(error);
  });
}
