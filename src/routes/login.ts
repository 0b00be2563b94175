/** Logs a user in: input, throttle, one exchange, identity, a new session. Both `/bff/login` and Finvera's own path use it. */
import express, { type Request, type Response } from 'express';
import * as z from 'zod';
import type { Failure, Rejection } from '../finvera/exchange-outcome.ts';
import type { FinveraClient } from '../finvera/finvera-client.ts';
import { type LoginThrottle, TooManyAttempts } from '../guards/login-throttle.ts';
import { contextOf, requesterOf } from '../guards/request-context.ts';
import type { Clock } from '../kernel/clock.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Session } from '../session/session.ts';
import type { SessionCookie } from '../session/session-cookie.ts';
import type { Sessions } from '../session/sessions.ts';
import { sendContinue } from './expect-continue.ts';
import { createLoginAudit, type LoginAuditParts } from './login-audit.ts';

const MAX_LOGIN_BYTES = 8 * 1024;

/** Passed on exactly as received (ASVS 6.2.9); only what no account can have is refused. */
export const loginSchema = z.object({
  email: z
    .string()
    .min(1)
    .max(320)
    .refine((text) => !/\p{Cc}/u.test(text)),
  password: z.string().min(1).max(1024),
});

export interface LoginParts extends LoginAuditParts {
  readonly finvera: FinveraClient;
  readonly sessions: Sessions;
  readonly cookie: SessionCookie;
  readonly throttle: LoginThrottle;
  readonly clock: Clock;
  /** For the whole body, so that nobody can hold a connection by sending it byte by byte. */
  readonly bodyTimeoutMs: number;
}

export interface Login {
  /** Logs in and sets the cookie on the answer to come. @throws GatewayError for every code of contract §4. */
  (req: Request, res: Response): Promise<Session>;
}

export function createLogin(parts: LoginParts): Login {
  const { sessions, cookie, throttle, clock, metrics, bodyTimeoutMs } = parts;
  const auditOf = createLoginAudit(parts);
  return async (req, res) => {
    const { clientIp, answerHeaders } = contextOf(res);
    const { email, password } = loginSchema.safeParse(await readJson(req, res, bodyTimeoutMs)).data ?? refuseInput();
    const audit = auditOf(req, res, email);
    const throttled = async () => {
      throttle.recall(email, clientIp);
      // Before the password leaves: a session that cannot be kept is not worth an exchange.
      await sessions.ping();
      return await throttle.attempt(email, clientIp);
    };
    const attempt = async () => {
      const giveBack = await throttled().catch((error: unknown) => {
        if (error instanceof TooManyAttempts) metrics.logins.inc({ outcome: 'throttled' });
        throw error;
      });
      try {
        const begun = await authenticateAtFinvera(parts, email, password, req, res);
        metrics.logins.inc({ outcome: 'accepted' });
        await giveBack();
        return begun;
      } catch (error) {
        // An outage is no guess: it must not lock anybody out.
        if (!(error instanceof GatewayError && error.kind === 'login_rejected')) await giveBack();
        throw error;
      }
    };
    const session = await attempt().catch((error: unknown) => {
      audit.refused(error);
      throw error;
    });
    audit.accepted(session);
    await endReplaced(parts, req, res);
    answerHeaders.push('Set-Cookie', cookie.set(session.id, session.absoluteExpiresAt - clock.now()));
    contextOf(res).session = session.hash;
    contextOf(res).userId = session.userId;
    return session;
  };
}

async function authenticateAtFinvera(
  { finvera, sessions, metrics }: LoginParts,
  email: string,
  password: string,
  req: Request,
  res: Response,
): Promise<Session> {
  const context = contextOf(res);
  const login = await finvera.login(email, password, context);
  if (login.kind !== 'granted') throw refusal(login, metrics);
  const validation = await finvera.validate(login.grant.access, context);
  if (validation.kind !== 'identified') throw refusal(validation, metrics);
  const requester = requesterOf(req, res);
  const { clientIp: ip = '', userAgent = '' } = requester;
  return await sessions.begin({ user: validation.identity, tokens: login.grant, ip, userAgent }, requester);
}

/** The same answer whatever was wrong with the account (ASVS 6.3.8). */
function refusal(outcome: Rejection | Failure, metrics: Metrics): GatewayError {
  metrics.logins.inc({ outcome: outcome.kind });
  switch (outcome.kind) {
    case 'rejected':
      return new GatewayError('login_rejected');
    case 'rate_limited':
      return new GatewayError('rate_limited', { retryAfterMs: outcome.retryAfterMs ?? 60_000 });
    case 'timeout':
      return new GatewayError('upstream_timeout');
    case 'invalid':
      return new GatewayError('upstream_invalid', { cause: outcome.cause });
    case 'unavailable':
      return new GatewayError('upstream_unavailable', {
        retryAfterMs: outcome.retryAfterMs ?? 1_000,
        cause: outcome.cause,
      });
  }
}

function refuseInput(): never {
  throw new GatewayError('invalid_request', { detail: 'The body must be {"email": string, "password": string}.' });
}

/** The browser's earlier session ends: its cookie is overwritten, so that nobody could end it later. */
async function endReplaced({ sessions, cookie }: LoginParts, req: Request, res: Response): Promise<void> {
  const reading = cookie.read(req.rawHeaders);
  // A store that fails here leaves a session without a cookie, which idles out; the login itself has succeeded.
  if (reading.kind !== 'present') return;
  await sessions.endById(reading.id, 'replaced', requesterOf(req, res)).catch(() => undefined);
}

const parseJson = express.json({ limit: MAX_LOGIN_BYTES, inflate: false, strict: true, type: () => true });

/** JSON by its media type only: a form or text/plain needs no preflight and could come from anywhere (ASVS 3.5.2). */
async function readJson(req: Request, res: Response, timeoutMs: number): Promise<unknown> {
  const type = (req.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new GatewayError('unsupported_media_type');
  if (Number(req.headers['content-length'] ?? 0) > MAX_LOGIN_BYTES) throw new GatewayError('body_too_large');
  sendContinue(req, res);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new GatewayError('request_timeout')), timeoutMs);
    parseJson(req, res, (error?: unknown) => {
      clearTimeout(timer);
      if (error) reject(bodyError(error));
      else resolve();
    });
  });
  return req.body;
}

function bodyError(error: unknown): GatewayError {
  const status = (error as { status?: unknown }).status;
  if (status === 413) return new GatewayError('body_too_large');
  if (status === 415) return new GatewayError('unsupported_media_type');
  return new GatewayError('invalid_request', { detail: 'The body is not valid JSON.' });
}
