/**
 * The management listener: metrics, health and what the log writes, for those who run the gateway. Never on the public
 * port. Whoever reaches it is believed: it listens on this machine alone unless the settings say otherwise.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import * as z from 'zod';
import { LOG_LEVELS } from '../config/settings.ts';
import { asGatewayError, GatewayError } from '../kernel/errors.ts';
import { PROBLEM_TYPE, problemBody } from '../kernel/problem.ts';
import type { LogControl } from './log-control.ts';
import type { Metrics } from './metrics.ts';

interface HealthAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface ManagementParts {
  readonly metrics: Metrics;
  readonly health: { live(): HealthAnswer; ready(): Promise<HealthAnswer> };
  readonly healthPaths: readonly string[];
  readonly logControl: LogControl;
}

type Handle = (req: IncomingMessage, res: ServerResponse) => Promise<void> | void;

export function createManagementHandler({ metrics, health, healthPaths, logControl }: ManagementParts) {
  const sendHealth =
    (path: string): Handle =>
    async (_req, res) => {
      const { status, body } = path === '/health/live' ? health.live() : await health.ready();
      sendJson(res, status, body);
    };
  const sendMetrics: Handle = async (req, res) => {
    const isOpen = req.headers.accept?.includes('application/openmetrics-text') ?? false;
    if (isOpen) return send(res, 200, metrics.openMetricsType, await metrics.openMetrics());
    send(res, 200, metrics.contentType, await metrics.text());
  };
  const sendVerbosity: Handle = (_req, res) => sendJson(res, 200, logControl.current());
  const changeVerbosity: Handle = async (req, res) => {
    refuseBrowsers(req);
    const { level, sampling } = parseVerbosity(await readBody(req));
    logControl.change(
      { ...(level === undefined ? {} : { level }), ...(sampling === undefined ? {} : { sampling }) },
      { clientIp: req.socket.remoteAddress ?? '' },
    );
    sendJson(res, 200, logControl.current());
  };
  const paths = new Map<string, Readonly<Record<string, Handle>>>([
    ['/metrics', readable(sendMetrics)],
    ['/log', { ...readable(sendVerbosity), PUT: changeVerbosity }],
    ...healthPaths.map((path) => [path, readable(sendHealth(path))] as const),
  ]);
  return async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    try {
      refuseReboundNames(req);
      const methods = paths.get((req.url ?? '').split('?')[0] ?? '');
      if (!methods) throw new GatewayError('not_found');
      const handle = Object.hasOwn(methods, req.method ?? '') ? methods[req.method ?? ''] : undefined;
      if (!handle) throw new GatewayError('method_not_allowed', { allow: Object.keys(methods) });
      await handle(req, res);
    } catch (thrown) {
      sendProblem(res, thrown);
    }
  };
}

const readable = (handle: Handle) => ({ GET: handle, HEAD: handle });

/**
 * A page that an operator has open can have its own name resolve to this machine (DNS rebinding) and then read what is
 * answered: on the loopback interface only an address or `localhost` is asked for by who means it.
 */
function refuseReboundNames({ headers: { host = '' }, socket }: IncomingMessage): void {
  if (!isLoopback(socket.localAddress ?? '')) return;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (name === '' || isIP(name) > 0 || /^(?:[\w-]+\.)*localhost\.?$/i.test(name)) return;
  throw new GatewayError('origin_forbidden', { detail: 'On this interface only localhost or an address is served.' });
}

const isLoopback = (address: string): boolean => address === '::1' || /^(?:::ffff:)?127\./.test(address);

/** A page that an operator has open reaches this machine's ports, too, and a name that it rebinds makes it same-origin. */
function refuseBrowsers({ headers }: IncomingMessage): void {
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined)
    throw new GatewayError('origin_forbidden', { detail: 'No page of a browser may do this.' });
  if (headers['content-type']?.split(';')[0]?.trim().toLowerCase() !== 'application/json')
    throw new GatewayError('unsupported_media_type');
}

const MAX_BODY_BYTES = 1_024;

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new GatewayError('body_too_large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const verbosity = z
  .strictObject({ level: z.enum(LOG_LEVELS).optional(), sampling: z.number().min(0).max(1).optional() })
  .refine(({ level, sampling }) => level !== undefined || sampling !== undefined);

function parseVerbosity(text: string): z.infer<typeof verbosity> {
  try {
    return verbosity.parse(JSON.parse(text));
  } catch (cause) {
    const detail = `Wanted: {"level": one of ${LOG_LEVELS.join(', ')}, "sampling": a number from 0 to 1}, one of them or both.`;
    throw new GatewayError('invalid_request', { detail, cause });
  }
}

function sendProblem(res: ServerResponse, thrown: unknown): void {
  const error = asGatewayError(thrown);
  if (res.headersSent || res.destroyed) return void res.destroy();
  if (error.allow) res.setHeader('Allow', error.allow.join(', '));
  // What is still to come of a refused body is read by nobody.
  if (!res.req.complete) res.setHeader('Connection', 'close');
  send(res, error.status, PROBLEM_TYPE, problemBody(error, randomUUID()));
}

function sendJson(res: ServerResponse, status: number, body: unknown): void {
  send(res, status, 'application/json; charset=utf-8', JSON.stringify(body));
}

function send(res: ServerResponse, status: number, type: string, body: string): void {
  res.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  res.end(body);
}
