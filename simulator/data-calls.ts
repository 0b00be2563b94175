// Finvera's data calls: who asks, how often, and the answer. Holds no tokens and no state but the rate windows.
import { createHash } from 'node:crypto';
import { type Answer, errorAnswer, jsonAnswer } from './answer.ts';
import { bearerOf, unauthorized } from './auth-calls.ts';
import { EVENTS, isRestricted, type MarketEvent, SECURITIES, type Security } from './market-data.ts';
import { probe } from './probe-calls.ts';
import type { RateLimiter } from './rate-limit.ts';
import type { Received } from './received.ts';
import type { SimulatorSettings } from './settings.ts';
import type { TokenRegistry } from './tokens.ts';

/** What the data calls need. */
export interface DataParts {
  readonly settings: SimulatorSettings;
  readonly tokens: TokenRegistry;
  readonly limiter: RateLimiter;
}

/** Who is asking, once known. */
interface Caller {
  readonly id: string;
  readonly tier: string;
}

const EVENTS_PATH = '/delivery/api/v1/events';
const SECURITIES_PATH = '/search/api/v1/securities';
const SEARCH_TYPES: readonly (keyof Security)[] = ['symbol', 'name', 'isin', 'figi'];

interface StoredEvent {
  readonly event: MarketEvent;
  readonly answer: Answer;
  readonly etag: string;
}

// Made once: the benchmark measures the gateway, not how fast the simulator serialises.
const EVENTS_BY_ID = new Map(EVENTS.map((event) => [event.event_id, stored(event)]));

function stored(event: MarketEvent): StoredEvent {
  const etag = `"${createHash('sha256').update(JSON.stringify(event)).digest('base64url').slice(0, 16)}"`;
  return { event, etag, answer: jsonAnswer(200, event, ['ETag', etag]) };
}

/** Answers any path below `/delivery`, `/search`, `/kms` and `/public`. Only `/public` asks for no credential. */
export function answerData(received: Received, parts: DataParts): Answer {
  if (received.path.startsWith('/public/')) return probe(received) ?? notFound(received);
  const caller = identify(received, parts);
  if ('status' in caller) return caller;
  const { rateLimit, enterpriseRateLimit } = parts.settings;
  const perMinute = caller.tier === 'standard' ? rateLimit : enterpriseRateLimit;
  const waitS = perMinute === 'off' ? 0 : parts.limiter.take(caller.id, perMinute);
  if (waitS > 0) return rateLimited(waitS);
  return route(received, caller);
}

/** The 429 of a caller over the limit. */
export function rateLimited(retryAfter: number | string | null): Answer {
  const headers = retryAfter === null ? [] : ['Retry-After', String(retryAfter)];
  return errorAnswer(429, 'Too Many Requests', 'Rate limit exceeded', headers);
}

/** The 404 for whatever Finvera does not have. */
export function notFound(received: Received): Answer {
  return errorAnswer(404, 'Not found', `${received.method} ${received.path} does not exist`);
}

/** Who the credential of a request stands for, or the 401 it gets: a server key or an access token. */
export function identify(received: Received, { settings, tokens }: DataParts): Caller | Answer {
  const queryKey = received.query.includes('apikey=') ? new URLSearchParams(received.query).get('apikey') : null;
  const credential = queryKey ?? bearerOf(received);
  if (credential === undefined) return unauthorized('Access token required');
  if (settings.apiKey !== null && credential === settings.apiKey) return { id: 'api-key', tier: 'enterprise' };
  if (queryKey !== null) return unauthorized('API key unknown');
  const state = tokens.checkAccess(credential);
  if (state.kind !== 'valid') return unauthorized(`Access token ${state.kind}`);
  return { id: state.user.userId, tier: state.user.tier };
}

function route(received: Received, caller: Caller): Answer {
  const { method, path } = received;
  if (path.includes('/__')) return probe(received) ?? notFound(received);
  if (method !== 'GET' && method !== 'HEAD') return notFound(received);
  if (path.startsWith(`${EVENTS_PATH}/`)) return eventById(received, caller);
  if (path === EVENTS_PATH) return eventList(received, caller);
  if (path === SECURITIES_PATH) return securities(received);
  return notFound(received);
}

function eventById(received: Received, caller: Caller): Answer {
  const found = EVENTS_BY_ID.get(received.path.slice(EVENTS_PATH.length + 1));
  if (found === undefined) return errorAnswer(404, 'Not found', 'The event does not exist');
  if (caller.tier === 'standard' && isRestricted(found.event)) {
    return errorAnswer(403, 'Forbidden', 'The licensing tier does not include this event');
  }
  if (received.request.headers['if-none-match'] !== found.etag) return found.answer;
  return { status: 304, headers: ['ETag', found.etag], body: Buffer.alloc(0) };
}

function eventList(received: Received, caller: Caller): Answer {
  const query = new URLSearchParams(received.query);
  const limit = wholeNumber(query.get('limit') ?? '50', 1, 500);
  const offset = wholeNumber(query.get('offset') ?? '0', 0, Number.MAX_SAFE_INTEGER);
  const sort = query.get('sort') ?? 'desc';
  const date = query.get('date_range');
  if (limit === undefined) return badParameter("The 'limit' parameter must be 1 to 500");
  if (offset === undefined) return badParameter("The 'offset' parameter must be 0 or more");
  if (sort !== 'asc' && sort !== 'desc') return badParameter("The 'sort' parameter must be 'asc' or 'desc'");
  if (date !== null && !/^\d{4}-\d\d-\d\d$/.test(date)) {
    return badParameter("The 'date_range' parameter must be YYYY-MM-DD");
  }
  const symbol = query.get('symbol');
  const matching = EVENTS.filter(
    (event) =>
      (symbol === null || event.symbol === symbol) &&
      (date === null || event.occurred_at.startsWith(date)) &&
      !(caller.tier === 'standard' && isRestricted(event)),
  );
  if (sort === 'desc') matching.reverse();
  const events = matching.slice(offset, offset + limit);
  return jsonAnswer(200, { events, total: matching.length, limit, offset });
}

function securities(received: Received): Answer {
  const query = new URLSearchParams(received.query);
  const search = query.get('search');
  const searchType = query.get('search_type') ?? 'symbol';
  if (search === null || search === '') return badParameter("The 'search' parameter is required");
  const member = SEARCH_TYPES.find((type) => type === searchType);
  if (member === undefined)
    return badParameter(`The 'search_type' parameter must be one of ${SEARCH_TYPES.join(', ')}`);
  const wanted = search.toLowerCase();
  const found = SECURITIES.filter((security) => security[member].toLowerCase().includes(wanted));
  return jsonAnswer(200, { securities: found, total: found.length });
}

function badParameter(details: string): Answer {
  return errorAnswer(400, 'Invalid request parameters', details);
}

function wholeNumber(text: string, min: number, max: number): number | undefined {
  const value = Number(text);
  return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined;
}
