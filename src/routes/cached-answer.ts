/** Sends what the cache has, or passes on what came for the one who asked. */
import type { Request, Response } from 'express';
import type { CacheAnswer, KeptAnswer } from '../cache/cache-answer.ts';
import { ageMs, isNotModified, isOfTheBody } from '../cache/cache-entry.ts';
import { formatCacheStatus } from '../cache/cache-status.ts';
import { withoutFields } from '../cache/header-list.ts';
import { whenGone } from '../forwarding/client-connection.ts';
import type { ForwardRequest } from '../forwarding/forward-request.ts';
import { createReaderPace } from '../forwarding/reader-pace.ts';
import { toGatewayError } from '../forwarding/upstream-error.ts';
import { contextOf } from '../guards/request-context.ts';
import { GatewayError } from '../kernel/errors.ts';

type Passed = Extract<CacheAnswer, { kind: 'passed' }>;

/** Stale ones are sent whole: a 304 would say that what the browser has is still true. */
const MAY_BE_NOT_MODIFIED: readonly string[] = ['hit', 'miss', 'collapsed', 'revalidated'];

export function sendKept(
  req: Request,
  res: Response,
  { entry, outcome, status, own = [] }: KeptAnswer,
  now: number,
): void {
  const { headers: asked } = req;
  const isUnchanged =
    MAY_BE_NOT_MODIFIED.includes(outcome) && isNotModified(entry, asked['if-none-match'], asked['if-modified-since']);
  const hasNoBody = isUnchanged || entry.status === 204;
  const headers = hasNoBody ? withoutFields(entry.headers, isOfTheBody) : [...entry.headers];
  // An answer that was fetched for this very request has no age but the one it came with (RFC 9111 §5.1).
  const isNew = outcome === 'miss' || outcome === 'passed';
  const ageS = Math.floor(ageMs(entry, isNew ? entry.requestedAt : now) / 1_000);
  if (!isNew || ageS > 0) headers.push('Age', String(ageS));
  headers.push('Cache-Status', formatCacheStatus(status), ...own);
  for (const part of contextOf(res).answerHeaders) headers.push(part);
  res.writeHead(isUnchanged ? 304 : entry.status, headers);
  res.end(hasNoBody || req.method === 'HEAD' ? undefined : entry.body);
}

export interface PassingRules {
  /** How long who reads may take nothing. */
  readonly bodyTimeoutMs: number;
  /** As a forwarded request's. */
  readonly bind: ForwardRequest['bind'];
}

/** Passes it as it comes, at the pace of the one who reads. */
export function sendPassed(
  req: Request,
  res: Response,
  { answer, chunks }: Passed,
  { bodyTimeoutMs, bind }: PassingRules,
): Promise<void> {
  const context = contextOf(res);
  res.writeHead(answer.status, [...answer.passed, ...context.answerHeaders]);
  if (req.method === 'HEAD') {
    answer.cancel();
    res.end();
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const over = () => {
      stopWatching();
      pace.stop();
      release?.();
      resolve();
    };
    // Cut, so that the browser sees that the answer is not whole (RFC 9112 §8).
    const cut = (error: GatewayError) => {
      answer.cancel();
      context.code = error.code;
      context.cause = error.cause;
      res.destroy();
      over();
      return true;
    };
    const stopWatching = whenGone(req.socket, () => {
      answer.cancel();
      over();
    });
    const pace = createReaderPace(res, bodyTimeoutMs, answer, () => cut(new GatewayError('request_timeout')));
    const release = bind?.(cut);
    for (const chunk of chunks) res.write(chunk);
    answer.read({
      onChunk(chunk) {
        if (!res.write(chunk)) pace.hold();
      },
      onEnd() {
        res.end();
        over();
      },
      onFailure: (cause) => cut(toGatewayError(cause)),
    });
  });
}
