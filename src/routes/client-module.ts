/** Serves the browser client as one ES module, as the build made it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RequestHandler } from 'express';
import { sendBody } from './answer.ts';

/** Where the sources run as they are, the build beside them counts. */
const FOLDER = import.meta.url.endsWith('.ts') ? '../../dist/client' : '../client';
const BUNDLE = new URL(`${FOLDER}/bundle.js`, import.meta.url);

export function serveClientModule(): RequestHandler {
  const read = () => {
    const module = readFileSync(BUNDLE, 'utf8');
    const etag = `"${createHash('sha256').update(module).digest('base64url').slice(0, 22)}"`;
    return { module, etag, headers: ['Cache-Control', 'no-cache', 'ETag', etag] };
  };
  let kept: ReturnType<typeof read> | undefined;
  return (req, res) => {
    kept ??= read();
    const { module, etag, headers } = kept;
    const isKnown = req.headers['if-none-match']?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
    if (isKnown) sendBody(res, 304, '', '', headers);
    else sendBody(res, 200, 'text/javascript; charset=utf-8', module, headers);
  };
}
