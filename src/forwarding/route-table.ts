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
  const longestFirst = [...routes]
    .sort((a, b) => b.path.length - a.path.length)
    .map((route) => ({ match: { kind: 'route', route } as const, path: route.path, mayForbid: mayForbid(route.path) }));
  return {
    match(decoded) {
      for (const { match, path, mayForbid } of longestFirst) {
        if (isBelow(decoded, path)) return mayForbid && isForbidden(decoded) ? NONE : match;
      }
      return NONE;
    },
  };
}

const NONE: RouteMatch = { kind: 'none' };

/** The check costs more than the rest of the table: a route like `/delivery`, below which no spelling leads there, goes without. */
function mayForbid(routePath: string): boolean {
  const [first = ''] = fold(routePath);
  return first === '' || FORBIDDEN.some((forbidden) => forbidden.startsWith(`/${first}/`));
}

function isBelow(path: string, prefix: string): boolean {
  if (prefix === '/') return true;
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}

/** Servers differ in case, in `;parameters`, in trailing dots and blanks, in repeated slashes, in how often they decode: all of them count. */
function isForbidden(decoded: string): boolean {
  const folded = `/${fold(decoded).join('/')}`;
  return FORBIDDEN.some((prefix) => isBelow(folded, prefix));
}

function fold(decoded: string): string[] {
  return decodeToTheEnd(decoded)
    .normalize('NFKC')
    .toLowerCase()
    .split('/')
    .map((segment) => (segment.split(';')[0] ?? '').replace(/[.\s]+$/, ''))
    .filter((segment) => segment !== '');
}

/** Each round makes the text shorter, so it ends. What is no UTF-8 stays as it is. */
function decodeToTheEnd(text: string): string {
  const once = text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
  return once === text ? text : decodeToTheEnd(once);
}
