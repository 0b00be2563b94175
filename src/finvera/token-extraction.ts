/**
 * Finds the tokens in an answer of Finvera's, wherever it put them: cookies (its documentation), JSON (its Python
 * sample), or one here and one there. Pure: sending is `finvera-client.ts`.
 */
import { decodeJwt } from 'jose';
import { Secret } from '../kernel/secret.ts';
import type { TokenGrant } from './exchange-outcome.ts';

/** Finvera's documented life of an access token, where an answer tells none. */
export const DEFAULT_ACCESS_LIFE_MS = 3_600_000;
/** No life is believed beyond the documented life of a refresh token. */
const MAX_LIFE_MS = 30 * 24 * 3_600_000;
const MAX_TOKEN_CHARS = 8_192;

/** cookie-octet of RFC 6265bis §4.1.1: fit for a Cookie line and for an Authorization header alike; no CR, LF, blank or quote. */
const TOKEN_FORM = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/;

export interface TokenAnswer {
  readonly setCookies: readonly string[];
  /** The parsed JSON body, or undefined where there was none. */
  readonly body: unknown;
  /** Milliseconds since 1970 on this machine's clock: lives count from here, since Finvera's clock may differ. */
  readonly receivedAt: number;
}

interface Found {
  readonly token: string;
  readonly cookieLifeMs: number | undefined;
}

/** @returns undefined where the answer holds no usable access token. */
export function extractTokens({ setCookies, body, receivedAt }: TokenAnswer): TokenGrant | undefined {
  const json = isObject(body) ? body : {};
  const access = fromCookies(setCookies, 'DT_AUTH_TOKEN') ?? fromJson(json, 'token');
  if (!access) return undefined;
  const refresh = fromCookies(setCookies, 'DT_REFRESH_TOKEN') ?? fromJson(json, 'refresh_token');
  const accessLifeMs =
    earliest(secondsToMs(json.expires_in), jwtLifeMs(access.token), access.cookieLifeMs) ?? DEFAULT_ACCESS_LIFE_MS;
  const refreshLifeMs = refresh && earliest(jwtLifeMs(refresh.token), refresh.cookieLifeMs);
  return {
    access: new Secret(access.token),
    accessLifeMs,
    accessExpiresAt: receivedAt + accessLifeMs,
    ...(refresh ? { refresh: new Secret(refresh.token) } : {}),
    ...(refreshLifeMs === undefined ? {} : { refreshExpiresAt: receivedAt + refreshLifeMs }),
  };
}

function fromCookies(setCookies: readonly string[], name: string): Found | undefined {
  let found: Found | undefined;
  for (const line of setCookies) {
    const [pair = '', ...attributes] = line.split(';');
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    const token = pair
      .slice(equals + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1');
    const maxAge = attributes.map((a) => /^\s*max-age\s*=\s*(-?\d+)\s*$/i.exec(a)?.[1]).find((v) => v !== undefined);
    // Max-Age of zero or less takes a cookie away. The last line of a name wins, as in a browser.
    const gone = maxAge !== undefined && Number(maxAge) <= 0;
    found = !gone && isToken(token) ? { token, cookieLifeMs: secondsToMs(maxAge) } : undefined;
  }
  return found;
}

function fromJson(json: Record<string, unknown>, member: string): Found | undefined {
  const token = json[member];
  return typeof token === 'string' && isToken(token) ? { token, cookieLifeMs: undefined } : undefined;
}

const isToken = (text: string): boolean => text.length <= MAX_TOKEN_CHARS && TOKEN_FORM.test(text);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A positive number of seconds, also as digits in a string. */
function secondsToMs(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return undefined;
  return Math.min(seconds * 1_000, MAX_LIFE_MS);
}

/** `exp` − `iat` of a JWT: the difference holds whatever Finvera's clock says. Nothing for tokens that are no JWT. */
function jwtLifeMs(token: string): number | undefined {
  try {
    const { exp, iat } = decodeJwt(token);
    return typeof exp === 'number' && typeof iat === 'number' ? secondsToMs(exp - iat) : undefined;
  } catch {
    return undefined;
  }
}

function earliest(...lives: (number | undefined)[]): number | undefined {
  const known = lives.filter((life) => life !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
