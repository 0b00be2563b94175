/** The gateway's endpoints as a table: what each takes, answers and refuses. `openapi.ts` makes the document of it. */
import * as z from 'zod';
import type { ErrorKind } from '../kernel/errors.ts';
import { finveraAnswerSchema } from './finvera-paths.ts';
import { healthSchema } from './health.ts';
import { loginSchema } from './login.ts';
import { exceptSchema, refreshAnswerSchema, sessionAnswerSchema, sessionsAnswerSchema } from './session-body.ts';

export interface Operation {
  readonly method: 'get' | 'post' | 'delete';
  readonly path: string;
  /** The name a generated client gives the call. */
  readonly id: string;
  readonly summary: string;
  readonly body?: z.ZodType;
  readonly parameters?: readonly Parameter[];
  /** Whether it needs the cookie. */
  readonly needsSession?: boolean;
  /** Whether what Finvera answers comes back as it is, errors too. */
  readonly isForwarded?: boolean;
  readonly success: { readonly status: number; readonly description: string; readonly content?: Content };
  /** Besides those that every endpoint may answer with. */
  readonly errors: readonly ErrorKind[];
}

interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path' | 'header';
  readonly description: string;
  readonly schema: z.ZodType;
}

interface Content {
  readonly type: string;
  readonly schema: z.ZodType;
}

const json = (schema: z.ZodType): Content => ({ type: 'application/json', schema });

/** What any endpoint may answer with, whatever it does. */
export const COMMON_ERRORS: readonly ErrorKind[] = [
  'invalid_request',
  'origin_forbidden',
  'method_not_allowed',
  'uri_too_long',
  'headers_too_large',
  'internal_error',
];
const SESSION_ERRORS: readonly ErrorKind[] = ['session_required', 'session_expired', 'store_unavailable'];
const REFRESH_ERRORS: readonly ErrorKind[] = [...SESSION_ERRORS, 'upstream_unavailable'];
const LOGIN_ERRORS: readonly ErrorKind[] = [
  'login_rejected',
  'request_timeout',
  'body_too_large',
  'unsupported_media_type',
  'too_many_attempts',
  'rate_limited',
  'upstream_invalid',
  'upstream_refused',
  'upstream_unavailable',
  'store_unavailable',
  'upstream_timeout',
];

const NO_ACTIVITY: Parameter = {
  name: 'X-Session-Activity',
  in: 'header',
  description: 'none: the call does not count as activity of the user.',
  schema: z.enum(['none']),
};
const LOGIN_SUCCESS = 'Logged in; the session cookie is set.';

const finveraPaths = (['/kms/api/v1/auth', '/api/v1/auth'] as const).flatMap((prefix): Operation[] => {
  const isShort = prefix === '/api/v1/auth';
  const suffix = isShort ? 'Short' : '';
  return [
    {
      method: 'post',
      path: `${prefix}/token`,
      id: `finveraToken${suffix}`,
      summary: "Log in, in Finvera's words",
      body: loginSchema,
      success: { status: 200, description: LOGIN_SUCCESS, content: json(finveraAnswerSchema) },
      errors: LOGIN_ERRORS,
    },
    {
      method: 'post',
      path: `${prefix}/refresh`,
      id: `finveraRefresh${suffix}`,
      summary: "Renew the tokens, in Finvera's words",
      needsSession: true,
      success: { status: 200, description: 'Renewed.', content: json(finveraAnswerSchema) },
      errors: REFRESH_ERRORS,
    },
    {
      method: 'get',
      path: `${prefix}/validate`,
      id: `finveraValidate${suffix}`,
      summary: "Who is logged in: Finvera's own answer",
      needsSession: true,
      isForwarded: true,
      success: { status: 200, description: "Finvera's answer, as it is.", content: json(z.unknown()) },
      errors: [...REFRESH_ERRORS, 'upstream_invalid', 'upstream_refused', 'upstream_timeout'],
    },
  ];
});

const health = (path: string, id: string, summary: string, canFail: boolean): Operation => ({
  method: 'get',
  path,
  id,
  summary,
  success: {
    status: 200,
    description: canFail ? 'It may have work. 503: not now, with the same body.' : 'It is there.',
    content: json(healthSchema),
  },
  errors: [],
});

export const OPERATIONS: readonly Operation[] = [
  {
    method: 'post',
    path: '/bff/login',
    id: 'login',
    summary: 'Log in',
    body: loginSchema,
    success: { status: 200, description: LOGIN_SUCCESS, content: json(sessionAnswerSchema) },
    errors: LOGIN_ERRORS,
  },
  {
    method: 'get',
    path: '/bff/session',
    id: 'session',
    summary: 'Who is logged in, and for how long',
    needsSession: true,
    parameters: [
      {
        name: 'slide',
        in: 'query',
        description: 'false: the call does not count as activity of the user.',
        schema: z.enum(['true', 'false']),
      },
      NO_ACTIVITY,
    ],
    success: { status: 200, description: 'The session.', content: json(sessionAnswerSchema) },
    errors: SESSION_ERRORS,
  },
  {
    method: 'post',
    path: '/bff/refresh',
    id: 'refresh',
    summary: 'Renew the tokens now, at most once in 30 seconds',
    needsSession: true,
    success: { status: 200, description: 'The session after it.', content: json(refreshAnswerSchema) },
    errors: REFRESH_ERRORS,
  },
  {
    method: 'post',
    path: '/bff/logout',
    id: 'logout',
    summary: 'Log out; done, too, where there is no session',
    success: { status: 204, description: 'There is no session any more; the cookie is cleared.' },
    errors: ['store_unavailable'],
  },
  {
    method: 'get',
    path: '/bff/sessions',
    id: 'sessions',
    summary: "The user's sessions",
    needsSession: true,
    success: { status: 200, description: 'The sessions, on whatever device.', content: json(sessionsAnswerSchema) },
    errors: SESSION_ERRORS,
  },
  {
    method: 'delete',
    path: '/bff/sessions',
    id: 'endSessions',
    summary: "End the user's sessions",
    needsSession: true,
    parameters: [
      { name: 'except', in: 'query', description: 'current: all but the one of the cookie.', schema: exceptSchema },
    ],
    success: { status: 204, description: 'Ended.' },
    errors: SESSION_ERRORS,
  },
  {
    method: 'delete',
    path: '/bff/sessions/{id}',
    id: 'endSession',
    summary: 'End one session',
    needsSession: true,
    parameters: [{ name: 'id', in: 'path', description: 'As listed.', schema: z.string() }],
    success: { status: 204, description: 'Ended.' },
    errors: [...SESSION_ERRORS, 'not_found'],
  },
  {
    method: 'get',
    path: '/bff/events',
    id: 'events',
    summary: 'What becomes of the session, as server-sent events',
    needsSession: true,
    parameters: [
      {
        name: 'Last-Event-ID',
        in: 'header',
        description: 'The version of the session that is known: `refreshed` comes at once where there is a later one.',
        schema: z.string(),
      },
    ],
    success: {
      status: 200,
      description:
        'Events named `session`: `{"type":"refreshed"|"expiring"|"ended","reason"?}`, the id being the version. A comment every 15 s. It ends after `ended`.',
      content: { type: 'text/event-stream', schema: z.string() },
    },
    errors: [...SESSION_ERRORS, 'too_many_streams'],
  },
  {
    method: 'get',
    path: '/stream',
    id: 'stream',
    summary: "Finvera's stream, a WebSocket; the query goes along, an apikey in it does not",
    needsSession: true,
    success: {
      status: 101,
      description:
        'Open. It closes with 4401 where the session ends, 1001 where the gateway does, 1008 where Finvera refuses the credential, 1009 for a message that is too big, 1011 where Finvera fails, 1013 for a reader that is too slow or over a limit.',
    },
    errors: [...REFRESH_ERRORS, 'tier_forbidden', 'upgrade_required', 'too_many_streams', 'draining'],
  },
  {
    method: 'get',
    path: '/bff/client.js',
    id: 'clientModule',
    summary: 'The browser client, an ES module',
    success: { status: 200, description: 'The module.', content: { type: 'text/javascript', schema: z.string() } },
    errors: [],
  },
  {
    method: 'get',
    path: '/bff/openapi.json',
    id: 'openApi',
    summary: 'This document',
    success: { status: 200, description: 'OpenAPI 3.1.', content: json(z.looseObject({ openapi: z.string() })) },
    errors: [],
  },
  ...finveraPaths,
  health('/health/live', 'live', 'Whether the process runs', false),
  health('/health/ready', 'ready', 'Whether it may have work', true),
  health('/health', 'health', 'The same as /health/ready', true),
];
