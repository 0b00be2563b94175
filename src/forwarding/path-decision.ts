/**
 * Decides once what path a request target means. Whatever could mean something else to whoever reads it next is
 * refused, so that the path decided here is the path sent, byte for byte. Pure.
 */

export interface DecidedPath {
  /** As it was written, without the query: what is sent. */
  readonly raw: string;
  /** The query as it was written, with its `?`, or ''. */
  readonly query: string;
  /** `/`-joined decoded segments: what rules are applied to. */
  readonly decoded: string;
}

export type PathDecision =
  | { readonly kind: 'path'; readonly path: DecidedPath }
  /** Absolute-form (RFC 9112 §3.2.2): the path stands for the host it names. */
  | { readonly kind: 'absolute'; readonly path: DecidedPath; readonly host: string }
  | { readonly kind: 'asterisk' }
  | { readonly kind: 'refused'; readonly why: string };

const refused = (why: string): PathDecision => ({ kind: 'refused', why });

/** Visible ASCII, without the characters that a URL never holds unescaped or that readers take differently. */
const TARGET_FORM = /^[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7c\x7e]*$/;
/** In the query `"`, `<`, `>`, `^`, `` ` ``, `{`, `}` are seen in the wild and harmless. */
const QUERY_FORM = /^[\x21\x22\x24-\x7e]*$/;
/** Nothing to decode and nothing to weigh: most paths. */
const PLAIN_FORM = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+$/;
const ABSOLUTE_FORM = /^https?:\/\/([^/?#@]+)(\/[^#]*)?$/i;

/** @param target the request target as it came (`req.url`). */
export function decidePath(target: string): PathDecision {
  if (target === '*') return { kind: 'asterisk' };
  const absolute = ABSOLUTE_FORM.exec(target);
  if (absolute) {
    const decision = decideOriginForm(absolute[2] ?? '/');
    return decision.kind === 'path' ? { kind: 'absolute', path: decision.path, host: absolute[1] ?? '' } : decision;
  }
  return decideOriginForm(target);
}

function decideOriginForm(target: string): PathDecision {
  const mark = target.indexOf('?');
  const raw = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark);
  if (query !== '' && !QUERY_FORM.test(query)) return refused('the query has characters that must be escaped');
  if (PLAIN_FORM.test(raw)) return { kind: 'path', path: { raw, query, decoded: raw } };
  if (!raw.startsWith('/')) return refused('the request target is not a path');
  if (!TARGET_FORM.test(raw)) return refused('the path has characters that must be escaped');
  const segments: string[] = [];
  const rawSegments = raw.slice(1).split('/');
  for (const [index, rawSegment] of rawSegments.entries()) {
    if (rawSegment === '' && index < rawSegments.length - 1) return refused('the path has an empty segment');
    const segment = decodeSegment(rawSegment);
    if (segment === undefined) return refused('the path has an escape that is not valid');
    const why = faultOf(segment);
    if (why) return refused(why);
    segments.push(segment);
  }
  return { kind: 'path', path: { raw, query, decoded: `/${segments.join('/')}` } };
}

/** Decodes once; undefined for escapes that are no UTF-8. */
function decodeSegment(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** What a decoded segment must not be or hold. */
function faultOf(segment: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  if (/[\x00-\x1f\x7f-\x9f/\\]/.test(segment)) return 'the path has an escaped slash, backslash or control character';
  // Some servers drop `;parameters` before they resolve dots (`..;/`); browsers and shells drop trailing dots and blanks.
  if (/^[.\s]+$/.test(segment.split(';')[0] ?? '')) return 'the path has a dot segment';
  // A reader that decodes twice would see another path than this one.
  if (/%(?:2e|2f|5c|25|00|0a|0d|3b)/i.test(segment)) return 'the path is escaped twice';
  return undefined;
}
