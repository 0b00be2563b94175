/** `GET /bff/events`: who may listen to what becomes of a session, and the head of the answer (contract §4). */
import type { Request, RequestHandler } from 'express';
import type { Authenticate } from '../guards/authenticate.ts';
import { contextOf } from '../guards/request-context.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { SessionEvents } from '../streams/session-events.ts';

export interface EventsRouteParts {
  readonly authenticate: Authenticate;
  readonly events: SessionEvents;
}

export function createEventsRoute({ authenticate, events }: EventsRouteParts): RequestHandler {
  return async (req, res) => {
    const context = contextOf(res);
    // Apart from the answers that end by themselves: it would be the slowest of them.
    context.routeName = 'events';
    // Listening is no activity, or no page that is left open would ever become idle.
    const session = await authenticate(req, res, { slide: false });
    const leave = req.method === 'HEAD' ? undefined : takePlace(events, session.hash);
    res.writeHead(200, [
      ...context.answerHeaders,
      'Content-Type',
      'text/event-stream; charset=utf-8',
      'Cache-Control',
      'no-store',
      // nginx would keep events back until its buffer is full.
      'X-Accel-Buffering',
      'no',
      // The last answer of its connection: one that ends with the process must not hold it open.
      'Connection',
      'close',
    ]);
    if (!leave) return void res.end();
    // Browsers take the connection for open once the head is there.
    res.flushHeaders();
    events.open(res, { session, lastVersion: lastVersionOf(req), leave });
  };
}

function takePlace({ places }: SessionEvents, hash: string): () => void {
  const leave = places.take(hash);
  if (!leave) throw new GatewayError('too_many_streams');
  return leave;
}

/** Anything else than one of our ids says nothing. */
function lastVersionOf({ headers }: Request): number | undefined {
  const sent = headers['last-event-id'];
  return typeof sent === 'string' && /^\d{1,15}$/.test(sent) ? Number(sent) : undefined;
}
