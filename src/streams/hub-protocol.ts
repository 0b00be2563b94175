/**
 * What browsers and the upstream say to each other, read and written; what is known of it is little, and each guess is named
 * in docs/streams.md. Pure: it sends nothing and keeps nothing.
 */

/** One thing that can be subscribed to. */
export interface Topic {
  /** A symbol, or `*` for all. */
  readonly symbol: string;
  /** As asked for: `type` in the first documented form, the event's name in the second; empty for any. */
  readonly kind: string;
  /** `event`: asked for in the second documented form, as this element of its `params`. */
  readonly form: 'type' | 'event';
}

export type ClientRequest =
  | { readonly kind: 'subscribe'; readonly topics: readonly Topic[]; readonly asked: Asked }
  /** Without a kind every kind of the symbol ends. */
  | { readonly kind: 'unsubscribe'; readonly topics: readonly Topic[]; readonly asked: Asked }
  | { readonly kind: 'subscribed' }
  | { readonly kind: 'list' }
  | { readonly kind: 'ping' }
  | { readonly kind: 'echo'; readonly text: string }
  | { readonly kind: 'invalid'; readonly details: string };

/** The members of a request that its answer repeats. */
type Asked = Readonly<Record<string, unknown>>;

export type UpstreamMessage =
  | { readonly kind: 'data'; readonly about: Subject }
  /** Several at once; each is handed on by itself. */
  | { readonly kind: 'batch'; readonly elements: readonly { readonly about: Subject; readonly text: string }[] }
  /** What may be the answer to `list`, if one is awaited. */
  | { readonly kind: 'list' }
  /** An answer to something else that the hub said: of no interest to browsers. */
  | { readonly kind: 'answer' }
  | { readonly kind: 'error' }
  | { readonly kind: 'no_symbol' }
  | { readonly kind: 'malformed' };

/** What a message is about. */
export interface Subject {
  readonly symbols: readonly string[];
  /** Its `type`; undefined where it names none. */
  readonly type: string | undefined;
  /** Its `ev`; undefined where it names none. */
  readonly event: string | undefined;
}

const MAX_SYMBOL_CHARS = 64;
/**
 * Neither a comma nor a blank at an end: the upstream may take `A,B` for two symbols, and an `unsubscribe` of that would end
 * what others hold.
 */
const SYMBOL_FORM = new RegExp(`^(?!\\s)[^\\p{C},]{1,${MAX_SYMBOL_CHARS}}(?<!\\s)$`, 'u');
/** The only event whose name is documented: in `FMV.BRK.B` it stands before the symbol, and `BRK.B` is a symbol. */
const EVENT_PREFIX = /^(FMV)\.(?=.)/;
const MAX_PARAMS = 200;

/** Reads what a browser sent. */
export function readClientMessage(text: string): ClientRequest {
  const message = parseObject(text);
  if (message === undefined) return invalid('The message is no JSON object');
  switch (message.action) {
    case 'subscribe':
    case 'unsubscribe':
      return readSubscription(message.action, message);
    case 'subscribed':
    case 'list':
    case 'ping':
      return { kind: message.action };
    case 'echo':
      return { kind: 'echo', text };
    default:
      return invalid('Unknown action');
  }
}

function readSubscription(kind: 'subscribe' | 'unsubscribe', message: Record<string, unknown>): ClientRequest {
  const { symbol, type, params } = message;
  if (symbol === undefined && params !== undefined) return readParams(kind, params);
  if (!isSymbol(symbol)) return invalid(`The 'symbol' parameter must be 1 to ${MAX_SYMBOL_CHARS} characters`);
  if (type !== undefined && type !== null && !isSymbol(type)) return invalid("The 'type' parameter must be a word");
  const named = typeof type === 'string' ? { type } : {};
  const topic: Topic = { symbol, kind: named.type ?? '', form: 'type' };
  return { kind, topics: [topic], asked: { symbol, ...named } };
}

function readParams(kind: 'subscribe' | 'unsubscribe', params: unknown): ClientRequest {
  const parts: unknown[] = typeof params === 'string' ? params.split(',') : Array.isArray(params) ? params : [];
  const names = parts.map((part) => (typeof part === 'string' ? part.trim() : ''));
  if (names.length === 0 || names.length > MAX_PARAMS || !names.every(isSymbol)) {
    return invalid(`The 'params' parameter must be 1 to ${MAX_PARAMS} symbols`);
  }
  const topics = names.map((name): Topic => {
    const event = EVENT_PREFIX.exec(name)?.[1] ?? '';
    return { symbol: event === '' ? name : name.slice(event.length + 1), kind: event, form: 'event' };
  });
  return { kind, topics, asked: { params } };
}

function isSymbol(value: unknown): value is string {
  return typeof value === 'string' && SYMBOL_FORM.test(value);
}

function invalid(details: string): ClientRequest {
  return { kind: 'invalid', details };
}

/** How the upstream is asked for a topic, or told that nobody wants it any more. */
export function writeUpstream(action: 'subscribe' | 'unsubscribe', { symbol, kind, form }: Topic): string {
  if (form === 'event') return JSON.stringify({ action, params: kind === '' ? symbol : `${kind}.${symbol}` });
  return JSON.stringify({ action, symbol, ...(kind === '' ? {} : { type: kind }) });
}

/** The answers given here, in the shape that the simulator's have too: Finvera documents none. */
export const answers = {
  accepted: (action: 'subscribe' | 'unsubscribe', asked: Asked) => JSON.stringify({ action, ...asked, status: 'ok' }),
  subscribed: (symbols: readonly string[]) => JSON.stringify({ action: 'subscribed', symbols }),
  pong: JSON.stringify({ action: 'pong' }),
  upstream: (state: 'reconnecting' | 'connected') => JSON.stringify({ event: 'upstream', state }),
  /** Finvera's documented error format. */
  error: (code: number, message: string, details: string) => JSON.stringify({ error: { code, message, details } }),
} as const;

/** Answers are told from data by one of these words in one of these members, since an answer may name a symbol too. */
const ANSWER_MEMBERS = ['action', 'event', 'type', 'status', 'ev'] as const;
const ANSWER_WORDS: ReadonlySet<unknown> = new Set([
  'list',
  'subscribe',
  'subscribed',
  'unsubscribe',
  'unsubscribed',
  'echo',
  'ping',
  'pong',
]);

/** Reads what the upstream sent; the symbol is the first of the fields that is there. */
export function readUpstreamMessage(text: string, symbolFields: readonly string[]): UpstreamMessage {
  const value = parse(text);
  if (Array.isArray(value)) return readArray(value, symbolFields);
  if (!isObject(value)) return { kind: 'malformed' };
  const word = ANSWER_MEMBERS.map((member) => value[member]).find((each) => ANSWER_WORDS.has(each));
  if (word === 'list') return { kind: 'list' };
  if (word !== undefined) return { kind: 'answer' };
  const symbols = symbolsOf(value, symbolFields);
  if (symbols.length > 0) return { kind: 'data', about: subjectOf(value, symbols) };
  if ('error' in value) return { kind: 'error' };
  return Object.values(value).some(Array.isArray) ? { kind: 'list' } : { kind: 'no_symbol' };
}

/** Data at once bears events or types; a bare list of symbols or securities does not. */
function readArray(values: readonly unknown[], symbolFields: readonly string[]): UpstreamMessage {
  const elements = values.filter(isObject).filter((each) => 'ev' in each || 'type' in each);
  if (elements.length === 0) return { kind: 'list' };
  const told = elements.flatMap((element) => {
    const symbols = symbolsOf(element, symbolFields);
    // Kept in an array: whoever reads this form expects one.
    return symbols.length > 0 ? [{ about: subjectOf(element, symbols), text: JSON.stringify([element]) }] : [];
  });
  return told.length > 0 ? { kind: 'batch', elements: told } : { kind: 'no_symbol' };
}

function symbolsOf(message: Record<string, unknown>, symbolFields: readonly string[]): readonly string[] {
  for (const field of symbolFields) {
    const value = Object.hasOwn(message, field) ? message[field] : undefined;
    if (typeof value === 'string' && value !== '') return [value];
    if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string')) return value;
  }
  return [];
}

function subjectOf({ type, ev }: Record<string, unknown>, symbols: readonly string[]): Subject {
  return {
    symbols,
    type: typeof type === 'string' && type !== '' ? type : undefined,
    event: typeof ev === 'string' && ev !== '' ? ev : undefined,
  };
}

/**
 * Whether a subscription of a kind brings a message of the topic's symbol. Where the upstream names no type every type gets
 * it: too much can be ignored by a page, what is missing cannot be made up.
 */
export function isOfKind({ kind, form }: Omit<Topic, 'symbol'>, { type, event }: Subject): boolean {
  if (form === 'event') return event !== undefined && (kind === '' || kind === event);
  return kind === '' || type === undefined || kind === type;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  const value = parse(text);
  return isObject(value) ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
