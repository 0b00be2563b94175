/** The `apikey` in a query: the browser's own, in whatever spelling, never goes along; the server's may. Pure. */

/** @param query with its `?`, or ''. @returns the same form; all else stays byte for byte. */
export function withoutApiKey(query: string): string {
  const kept = keptPairs(query);
  return kept.length === 0 ? '' : `?${kept.join('&')}`;
}

/** The browser's own gives way to the server's. */
export function withApiKey(query: string, key: string): string {
  return `?${[...keptPairs(query), `apikey=${encodeURIComponent(key)}`].join('&')}`;
}

function keptPairs(query: string): string[] {
  return query
    .slice(1)
    .split('&')
    .map(withoutSemicolonTwin)
    .filter((pair) => pair !== '' && !isApiKeyName(pair.split('=')[0] ?? ''));
}

/** Some servers take `;` for `&`, too. */
function withoutSemicolonTwin(pair: string): string {
  if (!pair.includes(';')) return pair;
  return pair
    .split(';')
    .filter((part) => !isApiKeyName(part.split('=')[0] ?? ''))
    .join(';');
}

function isApiKeyName(name: string): boolean {
  try {
    return decodeURIComponent(name.replaceAll('+', ' ')).trim().toLowerCase() === 'apikey';
  } catch {
    return false;
  }
}
