/** Makes what is kept: of an answer that came whole, or of a kept one that Finvera has confirmed. Pure. */
import { type CacheEntry, isOfTheBody } from './cache-entry.ts';
import type { Judgement } from './cache-policy.ts';
import { type HeaderList, withoutFields } from './header-list.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';

type Addressed = Pick<CacheEntry, 'scope' | 'route' | 'path' | 'uriKey'>;

type Storable = Extract<Judgement, { kind: 'storable' }>;

/** A whole answer, as it is kept from now on. */
export function keptFrom(
  { scope, route, path, uriKey }: Addressed,
  { status, shown }: UpstreamAnswer,
  body: Buffer,
  { freshness, control }: Storable,
  requestedAt: number,
): CacheEntry {
  const { ageMs: age, ...times } = freshness;
  const headers = withLength(shown, body);
  return {
    status,
    headers,
    body,
    control,
    requestedAt,
    // The time it was under way counts as age, too: no answer looks younger than it may be (RFC 9111 §4.2.3).
    bornAt: requestedAt - age,
    ...times,
    scope,
    route,
    path,
    uriKey,
  };
}

/** A body that came in pieces has a length now. */
function withLength(headers: HeaderList, body: Buffer): HeaderList {
  const others = withoutFields(headers, (name) => name === 'content-length');
  return [...others, 'Content-Length', String(body.byteLength)];
}

/** The kept body under the new fields; what describes the body stays as it was (RFC 9111 §3.2). */
export function confirmed(
  kept: CacheEntry,
  shown: HeaderList,
  { freshness, control }: Storable,
  requestedAt: number,
): CacheEntry {
  const { ageMs: age, ...times } = freshness;
  const fresh = withoutFields(shown, isOfTheBody);
  const names = new Set(fresh.flatMap((name, i) => (i % 2 === 0 ? [name.toLowerCase()] : [])));
  const headers = [...withoutFields(kept.headers, (name) => names.has(name)), ...fresh];
  return { ...kept, headers, control, requestedAt, bornAt: requestedAt - age, ...times };
}
