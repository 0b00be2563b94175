/** What the gateway knows of one request while it is under way; made at its start, read by guards and routes. */
import type { Response } from 'express';
import type { DecidedPath } from '../forwarding/path-decision.ts';

/** Which part of the gateway a path belongs to. */
export type Area = 'health' | 'bff' | 'finvera' | 'route' | 'other';

export interface RequestContext {
  readonly requestId: string;
  readonly startedAt: number;
  readonly clientIp: string;
  readonly proto: 'http' | 'https';
  readonly host: string;
  readonly traceparent: string | undefined;
  path: DecidedPath;
  area: Area;
  /** Name of the route for metrics and log: of a closed list, never the path itself. */
  routeName: string;
  /** Headers every answer to this request bears: names and values in turn. */
  readonly answerHeaders: string[];
  /** For the log: hash of the session, once known. */
  session?: string;
  userId?: string;
  /** The code of the gateway's own error, once there is one. */
  code?: string;
  /** For the log only. */
  cause?: unknown;
  upstreamMs?: number;
}

export function setContext(res: Response, context: RequestContext): void {
  res.locals.gateway = context;
}

export function contextOf(res: Response): RequestContext {
  return res.locals.gateway as RequestContext;
}
