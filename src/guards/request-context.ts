/** What the gateway knows of one request while it is under way; made at its start, read by guards and routes. */
import type { Request, Response } from 'express';
import type { RouteSettings } from '../config/settings.ts';
import type { Requester } from '../observability/audit-reports.ts';
import type { RequestTrace } from '../observability/tracing.ts';
import type { CookieReading } from '../session/session-cookie.ts';

/** Which part of the gateway a path belongs to. */
export type Area = 'health' | 'bff' | 'finvera' | 'stream' | 'route' | 'other';

/** As `decidePath` makes it. */
interface RequestPath {
  readonly raw: string;
  readonly query: string;
  readonly decoded: string;
}

export interface RequestContext {
  readonly requestId: string;
  readonly method: string;
  readonly startedAt: number;
  readonly clientIp: string;
  readonly proto: 'http' | 'https';
  readonly host: string;
  readonly traceparent: string;
  /** Its span, where there is tracing. */
  readonly trace: RequestTrace | undefined;
  path: RequestPath;
  area: Area;
  /** The forwarded route, where `area` says that there is one. */
  route: RouteSettings | undefined;
  /** What the Cookie lines say, once somebody has read them. */
  cookie: CookieReading | undefined;
  /** Name of the route for metrics and log: of a closed list, never the path itself. */
  routeName: string;
  /** Headers every answer to this request bears: names and values in turn. */
  readonly answerHeaders: string[];
  /** For the log: hash of the session, once known. */
  session: string | undefined;
  userId: string | undefined;
  /** The code of the gateway's own error, once there is one. */
  code: string | undefined;
  /** For the log only. */
  cause: unknown;
  upstreamMs: number | undefined;
  /** Of an answer that is not written through the response, such as 101. */
  status: number | undefined;
}

const CONTEXT = Symbol('context');

/** A response with a place for its context: not in `locals`, which is a dictionary and slow to read. */
interface Bearer {
  [CONTEXT]?: RequestContext;
}

export function setContext(res: Response, context: RequestContext): void {
  (res as Bearer)[CONTEXT] = context;
}

export function contextOf(res: Response): RequestContext {
  return (res as Bearer)[CONTEXT] as RequestContext;
}

/** For the audit trail. */
export function requesterOf(req: Request, res: Response): Requester {
  const { requestId, clientIp } = contextOf(res);
  return { requestId, clientIp, userAgent: req.headers['user-agent'] ?? '' };
}
