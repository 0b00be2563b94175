/** The limits and manners of the public listener that no middleware can own. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from '../observability/logger.ts';
import { answerClientError } from './client-error.ts';
import { noteExpectation } from './expect-continue.ts';

const HEADERS_TIMEOUT_MS = 15_000;
/** More than a head may have: whether its target or its fields are too long shows only in one that was read (RFC 9112 §3). */
const READ_HEAD_BYTES = 40 * 1024;
/** How often slow ones are looked for: the most that the timeout is late. */
const CHECK_CONNECTIONS_MS = 3_000;
/** Longer than the idle time of common load balancers (60 s): the side that reuses a connection must not be the last to know. */
const KEEP_ALIVE_MS = 65_000;

/** What a server can only be told when it is made. */
export const SERVER_OPTIONS = {
  maxHeaderSize: READ_HEAD_BYTES,
  connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
  // Any other Upgrade, such as h2c, is ignored and the request answered (RFC 9110 §7.8).
  shouldUpgradeCallback: ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === 'websocket',
  // Left to the pipeline: Node would answer 400 by itself without a body.
  requireHostHeader: false,
};

export interface HardenParts {
  readonly app: (req: IncomingMessage, res: ServerResponse) => void;
  readonly log: Logger;
  /** Where the server is somebody else's too: whose requests are the gateway's. Default: all. */
  readonly isOwn?: (target: string) => boolean;
}

const hardened = new WeakSet<Server>();

/** Safe to call twice. */
export function hardenServer(server: Server, { app, log, isOwn = () => true }: HardenParts): void {
  if (hardened.has(server)) return;
  hardened.add(server);
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  // A whole request may take as long as its upload does: the gateway has timers of its own.
  server.requestTimeout = 0;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    if (isOwn(req.url ?? '')) {
      noteExpectation(req);
      app(req, res);
    } else {
      // As Node does where nobody listens.
      res.writeContinue();
      server.emit('request', req, res);
    }
  });
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    // Left to the pipeline, which refuses what it does not know; Node would answer 417 by itself without a body.
    if (isOwn(req.url ?? '')) app(req, res);
    else res.writeHead(417).end();
  });
  // An application with a handler of its own keeps it: two would both write to the socket.
  if (server.listenerCount('clientError') > 0) return;
  server.on('clientError', (error, socket) => {
    const status = answerClientError(error, socket);
    if (status !== undefined)
      log.info({ event: 'bad_request', status, error: error.message }, 'request could not be read');
  });
}
