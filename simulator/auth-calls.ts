// Finvera's three token calls: login, refresh, validate. Where tokens come from and which are valid is the registry's matter.
import { type Answer, errorAnswer, jsonAnswer } from './answer.ts';
import type { Received } from './received.ts';
import type { SimulatorSettings } from './settings.ts';
import type { TokenGrant, TokenRegistry } from './tokens.ts';
import type { UserDirectory } from './users.ts';

const ACCESS_COOKIE = 'DT_AUTH_TOKEN';
const REFRESH_COOKIE = 'DT_REFRESH_TOKEN';
export const LOGIN_MESSAGE = 'Authentication successful';
export const REFRESH_MESSAGE = 'Token refreshed successfully';

/** What the token calls need. */
export interface AuthParts {
  readonly settings: SimulatorSettings;
  readonly users: UserDirectory;
  readonly tokens: TokenRegistry;
}

/** The token an `Authorization` header bears, if any. */
export function bearerOf(received: Received): string | undefined {
  const header = received.request.headers.authorization;
  return header !== undefined && /^bearer /i.test(header) ? header.slice(7).trim() : undefined;
}

/** The 401 for an access token that is missing or not (or no longer) good. */
export function unauthorized(details: string): Answer {
  return errorAnswer(401, 'Unauthorized', details);
}

/** `POST /kms/api/v1/auth/token` */
export function login(received: Received, { settings, users, tokens }: AuthParts): Answer {
  const credentials = parseCredentials(received);
  if (credentials === undefined) {
    return errorAnswer(400, 'Invalid request parameters', "The 'email' and 'password' members are required");
  }
  const user = users.authenticate(credentials.email, credentials.password);
  if (user === undefined) {
    return errorAnswer(settings.loginRejectedStatus, 'Authentication failed', 'Invalid email or password');
  }
  return grantAnswer(LOGIN_MESSAGE, tokens.login(user), settings);
}

/** `POST /kms/api/v1/auth/refresh` */
export function refresh(received: Received, { settings, tokens }: AuthParts): Answer {
  const refreshToken = cookieOf(received, REFRESH_COOKIE);
  if (refreshToken === undefined) {
    return errorAnswer(settings.refreshRejectedStatus, 'Unauthorized', `The '${REFRESH_COOKIE}' cookie is required`);
  }
  const outcome = tokens.refresh(refreshToken);
  if (outcome.kind === 'granted') return grantAnswer(REFRESH_MESSAGE, outcome.grant, settings);
  return errorAnswer(settings.refreshRejectedStatus, 'Unauthorized', `Refresh token ${outcome.kind}`);
}

/** `GET /kms/api/v1/auth/validate` */
export function validate(received: Received, { tokens }: AuthParts): Answer {
  const bearer = bearerOf(received);
  if (bearer === undefined) return unauthorized('Access token required');
  const state = tokens.checkAccess(bearer);
  if (state.kind !== 'valid') return unauthorized(`Access token ${state.kind}`);
  const { userId, email, username, tier } = state.user;
  return jsonAnswer(200, { user_id: userId, email, username, licensing_tier_id: tier });
}

function parseCredentials(received: Received): { email: string; password: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(received.body.kept?.toString('utf8') ?? '');
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { email, password } = value as Record<string, unknown>;
  return typeof email === 'string' && typeof password === 'string' ? { email, password } : undefined;
}

function cookieOf(received: Received, name: string): string | undefined {
  for (const pair of (received.request.headers.cookie ?? '').split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}

function grantAnswer(message: string, grant: TokenGrant, settings: SimulatorSettings): Answer {
  const { accessToken, refreshToken } = grant;
  const members: Record<string, unknown> = { message };
  const headers: string[] = [];
  if (settings.expiresIn) members.expires_in = settings.accessTokenLifeS;
  if (settings.tokenIn !== 'cookies') {
    members.token = accessToken;
    if (refreshToken !== undefined) members.refresh_token = refreshToken;
  }
  if (settings.tokenIn !== 'json') {
    headers.push('Set-Cookie', setCookie(ACCESS_COOKIE, accessToken, settings.accessTokenLifeS, settings));
    if (refreshToken !== undefined) {
      headers.push('Set-Cookie', setCookie(REFRESH_COOKIE, refreshToken, settings.refreshTokenLifeS, settings));
    }
  }
  return jsonAnswer(200, members, headers);
}

function setCookie(name: string, value: string, lifeS: number, settings: SimulatorSettings): string {
  const maxAge = settings.cookieMaxAge ? `; Max-Age=${Math.floor(lifeS)}` : '';
  return `${name}=${value}; Path=/; HttpOnly; Secure${maxAge}`;
}
