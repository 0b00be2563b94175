/** Serves the browser client as an ES module: the compiled file, or the source with its types taken out while developing. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import type { RequestHandler } from 'express';
import { sendBody } from './answer.ts';

export function serveClientModule(): RequestHandler {
  const isSource = import.meta.url.endsWith('.ts');
  const text = readFileSync(new URL(`../client/client${isSource ? '.ts' : '.js'}`, import.meta.url), 'utf8');
  const module = isSource ? stripTypeScriptTypes(text) : text;
  const etag = `"${createHash('sha256').update(module).digest('base64url').slice(0, 22)}"`;
  const headers = ['Cache-Control', 'no-cache', 'ETag', etag];
  return (req, res) => {
    const isKnown = req.headers['if-none-match']?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
    if (isKnown) sendBody(res, 304, '', '', headers);
    else sendBody(res, 200, 'text/javascript; charset=utf-8', module, headers);
  };
}
