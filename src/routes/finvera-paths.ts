/**
 * Finvera's own auth paths, for applications written against Finvera directly: the same calls as `/bff/*`, in Finvera's
 * words. The browser sample of Finvera's documentation posts to the relative path without `/kms`.
 */
import { Router } from 'express';
import * as z from 'zod';
import type { Clock } from '../kernel/clock.ts';
import type { Session } from '../session/session.ts';
import { sendJson } from './answer.ts';
import type { Forward } from './forwarded.ts';
import type { Login } from './login.ts';
import { methodNotAllowed } from './method-not-allowed.ts';
import { forcedRefresh, type RefreshedSessionParts } from './refreshed-session.ts';

export interface FinveraPathParts extends RefreshedSessionParts {
  readonly login: Login;
  readonly forwardValidate: Forward;
  readonly clock: Clock;
}

/** As Finvera documents it, without the tokens. */
export const finveraAnswerSchema = z.object({ message: z.string(), expires_in: z.int().min(0) });

const PREFIXES = ['/kms/api/v1/auth', '/api/v1/auth'];

/** True for the three calls, whatever the method. */
export function isFinveraPath(decoded: string): boolean {
  return PREFIXES.some((prefix) => ['/token', '/refresh', '/validate'].some((call) => decoded === prefix + call));
}

export function createFinveraRoutes(parts: FinveraPathParts): Router {
  const { login, forwardValidate, clock } = parts;
  const router = Router({ caseSensitive: true, strict: true });
  const answer = (message: string, session: Session): z.infer<typeof finveraAnswerSchema> => ({
    message,
    expires_in: Math.max(0, Math.floor((session.tokens.accessExpiresAt - clock.now()) / 1_000)),
  });
  for (const prefix of PREFIXES) {
    router
      .route(`${prefix}/token`)
      .post(async (req, res) => sendJson(res, 200, answer('Authentication successful', await login(req, res))))
      .all(methodNotAllowed(['POST']));
    router
      .route(`${prefix}/refresh`)
      .post(async (req, res) =>
        sendJson(res, 200, answer('Token refreshed successfully', await forcedRefresh(parts, req, res))),
      )
      .all(methodNotAllowed(['POST']));
    router
      .route(`${prefix}/validate`)
      .get(forwardValidate)
      .all(methodNotAllowed(['GET', 'HEAD']));
  }
  return router;
}
