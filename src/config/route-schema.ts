/** One entry of `routes:` in the YAML, checked by itself and against its neighbours. How a request finds its route: `forwarding/route-table.ts`. */
import * as z from 'zod';
import { suggestion } from './near-miss.ts';
import type { RouteSettings } from './settings.ts';
import { duration, oneOf, refuse, size, textKind, type ValueKind } from './values.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
/** OPTIONS only where a route asks for it: preflights are answered by the gateway. */
const DEFAULT_METHODS = METHODS.filter((each) => each !== 'OPTIONS');

/** The gateway's own; a route there would be dead, or worse: forward what must end here (contract §2, §4). */
const RESERVED = ['/bff', '/health', '/stream', '/kms/api/v1/auth', '/api/v1/auth'];

const method = textKind(`one of ${METHODS.join(', ')}, in upper case`, (text) => METHODS.find((each) => each === text));

const routePath: ValueKind<string> = textKind(
  'a prefix such as /delivery: segments of letters, digits and . _ ~ @ + = , - after single slashes',
  (text, context) => {
    if (text.length > 1 && text.endsWith('/'))
      return refuse(context, 'must not end with a slash: it is a prefix already');
    if (text.includes('*') || text.includes(':'))
      return refuse(context, 'must not be a pattern: it is a prefix already');
    if (text !== '/' && !/^(\/[A-Za-z0-9._~@+=,-]+)+$/.test(text)) return undefined;
    if (text.split('/').some((segment) => segment === '.' || segment === '..')) {
      return refuse(context, 'must not hold the segments . and ..');
    }
    const owner = RESERVED.find((own) => text.toLowerCase() === own || text.toLowerCase().startsWith(`${own}/`));
    return owner ? refuse(context, `must not lie at or below ${owner}: the gateway answers there itself`) : text;
  },
);

/** YAML reads `5000` as a number: numbers are read as the text they are. */
const scalar = <T>(kind: ValueKind<T>) =>
  z.preprocess((written) => (typeof written === 'number' ? String(written) : written), kind.schema);

const cacheSchema = z.strictObject(
  {
    ttl: scalar(duration('1ms', '1d')),
    staleWhileRevalidate: scalar(duration('0s', '1d')).default(0),
    staleIfError: scalar(duration('0s', '1d')).default(0),
    scope: oneOf('tier', 'user', 'public').schema.optional(),
  },
  'must be a mapping such as {ttl: 30s, scope: tier}',
);

const routeSchema = z.strictObject(
  {
    path: routePath.schema,
    methods: z
      .array(method.schema, 'must be a list such as [GET, HEAD]')
      .min(1, 'must name at least one method')
      .default(() => [...DEFAULT_METHODS]),
    credential: oneOf('session', 'api-key', 'none').schema.default('session'),
    apiKeyIn: oneOf('bearer', 'query').schema.default('bearer'),
    headersTimeout: scalar(duration('1ms', '1h')).optional(),
    bodyTimeout: scalar(duration('1ms', '1h')).optional(),
    maxBodyBytes: scalar(size('1b', '1gb')).optional(),
    cache: cacheSchema.optional(),
  },
  'must be a mapping with path, methods and credential',
);

const ROUTE_KEYS: readonly string[] = Object.keys(routeSchema.shape);
const CACHE_KEYS: readonly string[] = Object.keys(cacheSchema.shape);

export interface ParsedRoutes {
  /** The valid ones, also where others are not. */
  readonly routes: readonly RouteSettings[];
  readonly problems: readonly string[];
}

/** @param written what the YAML holds under `routes:`. Problems begin with the place: `routes[1].path …`. */
export function parseRoutes(written: unknown): ParsedRoutes {
  if (!Array.isArray(written)) return { routes: [], problems: ['routes must be a list (write [] for none)'] };
  const routes: RouteSettings[] = [];
  const problems: string[] = [];
  for (const [index, entry] of written.entries()) {
    const place = `routes[${index}]`;
    const parsed = routeSchema.safeParse(entry);
    if (parsed.success) routes.push(withoutAbsent(parsed.data));
    else problems.push(...parsed.error.issues.map((issue) => describeIssue(place, issue)));
    problems.push(...contradictions(place, entry));
  }
  problems.push(...repeatedPaths(written));
  return { routes, problems };
}

function describeIssue(place: string, issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    const isCache = issue.path[0] === 'cache';
    const keys = isCache ? CACHE_KEYS : ROUTE_KEYS;
    const known = isCache ? ` A route's cache has ${keys.join(', ')}.` : ` A route has ${keys.join(', ')}.`;
    return issue.keys
      .map((each) => `${place}${isCache ? '.cache' : ''} has an unknown key ${each}.${suggestion(each, keys, known)}`)
      .join(' ');
  }
  const where = issue.path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  return `${place}${where} ${issue.message}`;
}

/** On what was written, so that it is told together with the bad values. */
function contradictions(place: string, entry: unknown): string[] {
  if (typeof entry !== 'object' || entry === null) return [];
  const { apiKeyIn, credential, cache } = entry as Record<string, unknown>;
  const found: string[] = [];
  if (apiKeyIn !== undefined && credential !== 'api-key')
    found.push(`${place}.apiKeyIn has a meaning only with credential: api-key; remove it or set that`);
  const scope = (cache as { scope?: unknown } | null | undefined)?.scope;
  if (scope === 'public' && credential !== 'none')
    found.push(`${place}.cache.scope: public needs credential: none: what a user may see is not for everybody`);
  if ((scope === 'tier' || scope === 'user') && credential === 'none')
    found.push(`${place}.cache.scope: ${scope} needs a session: with credential: none it must be public`);
  return found;
}

function repeatedPaths(entries: readonly unknown[]): string[] {
  const paths = entries.map((entry) => (entry as { path?: unknown } | null)?.path);
  return paths.flatMap((path, index) => {
    const first = paths.indexOf(path);
    return typeof path === 'string' && first < index ? [`routes[${index}].path is that of routes[${first}] again`] : [];
  });
}

/** An absent value stays absent: `exactOptionalPropertyTypes` tells it from undefined. */
function withoutAbsent(route: z.output<typeof routeSchema>): RouteSettings {
  const { headersTimeout, bodyTimeout, maxBodyBytes, cache, ...always } = route;
  return {
    ...always,
    ...(headersTimeout === undefined ? {} : { headersTimeout }),
    ...(bodyTimeout === undefined ? {} : { bodyTimeout }),
    ...(maxBodyBytes === undefined ? {} : { maxBodyBytes }),
    // Without a word the narrowest: what one user was shown is for that user.
    ...(cache === undefined
      ? {}
      : { cache: { ...cache, scope: cache.scope ?? (always.credential === 'none' ? 'public' : 'user') } }),
  };
}
