/** Which path goes where: longest prefix on whole segments, an allow-list. What no route names is not forwarded. Pure. */
import type { RouteSettings } from '../config/settings.ts';

export type RouteMatch = { readonly kind: 'route'; readonly route: RouteSettings } | { readonly kind: 'none' };

export interface RouteTable {
  /** @param decoded the decoded path of `decidePath`. */
  match(decoded: string): RouteMatch;
}

/**
 * Finvera's auth calls answer with tokens: they are never forwarded, whatever the routes say and however it is spelled.
 * Only the gateway's own three calls reach them.
 */
const FORBIDDEN = ['/kms/api/v1/auth', '/api/v1/auth'];

export function createRouteTable(routes: readonly RouteSettings[]): RouteTable {
  const longestFirst = [...routes].sort((a, b) => b.path.length - a.path.length);
  return {
    match(decoded) {
      const route = longestFirst.find(({ path }) => isBelow(decoded, path));
      if (!route || isForbidden(decoded)) return { kind: 'none' };
      return { kind: 'route', route };
    },
  };
}

function isBelow(path: string, prefix: string): boolean {
  if (prefix === '/') return true;
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}

/** Servers differ in case, in `;parameters`, in trailing dots and blanks, in repeated slashes: all of them count. */
function isForbidden(decoded: string): boolean {
  const folded = decoded
    .normalize('NFKC')
    .toLowerCase()
    .split('/')
    .map((segment) => (segment.split(';')[0] ?? '').replace(/[.\s]+$/, ''))
    .filter((segment) => segment !== '')
    .join('/');
  return FORBIDDEN.some((prefix) => isBelow(`/${folded}`, prefix));
}
