// The simulator's command line: which flags there are and what they set. Starts nothing.
import { parseArgs } from 'node:util';
import { checkSettings, InvalidInput, type SimulatedUser, type SimulatorOptions } from './settings.ts';

type OptionName = keyof SimulatorOptions;

/** One flag. */
interface Flag {
  readonly option: OptionName;
  /** What the value looks like, for the usage text. */
  readonly value: string;
  readonly says: string;
  /** The option's value, or undefined where the text is none. */
  readonly read: (text: string) => unknown;
}

const text = (value: string) => value;
const number = (value: string) => (/^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined);
const limit = (value: string) => (value === 'off' ? value : number(value));
const names = (value: string) => value.split(',').filter((name) => name !== '');
const countOrOff = (value: string) => (value === 'off' ? null : number(value));
const onOff = (value: string) => ({ on: true, off: false })[value];

function sizes(value: string): unknown {
  if (value === 'off') return null;
  const match = /^(\d+),(\d+)$/.exec(value);
  return match === null ? undefined : { access: Number(match[1]), refresh: Number(match[2]) };
}

const FLAGS: Readonly<Record<string, Flag>> = {
  port: { option: 'port', value: '4000', says: 'listens there; 0 = any free port', read: number },
  host: { option: 'host', value: '127.0.0.1', says: 'binds to this address', read: text },
  'token-in': { option: 'tokenIn', value: 'cookies|json|both', says: 'where tokens travel (cookies)', read: text },
  'token-format': { option: 'tokenFormat', value: 'jwt|opaque', says: 'what tokens look like (jwt)', read: text },
  'token-sizes': {
    option: 'tokenSizes',
    value: '900,700|off',
    says: 'exact lengths, access and refresh (off)',
    read: sizes,
  },
  'access-token-life': { option: 'accessTokenLifeS', value: '3600', says: 'seconds', read: number },
  'refresh-token-life': { option: 'refreshTokenLifeS', value: '2592000', says: 'seconds', read: number },
  'expires-in': { option: 'expiresIn', value: 'on|off', says: 'whether answers bear expires_in (on)', read: onOff },
  'cookie-max-age': {
    option: 'cookieMaxAge',
    value: 'on|off',
    says: 'whether token cookies bear Max-Age (on)',
    read: onOff,
  },
  'clock-skew': { option: 'clockSkewS', value: '0', says: 'seconds by which iat and exp are shifted', read: number },
  rotation: {
    option: 'rotation',
    value: 'on|off',
    says: 'whether a refresh replaces the refresh token (on)',
    read: onOff,
  },
  'reuse-detection': {
    option: 'reuseDetection',
    value: 'on|off',
    says: 'whether a spent refresh token ends its family (on)',
    read: onOff,
  },
  'reuse-grace': {
    option: 'reuseGraceMs',
    value: '0',
    says: 'milliseconds a spent refresh token still works',
    read: number,
  },
  'repeat-refresh-token': {
    option: 'repeatRefreshToken',
    value: 'on|off',
    says: 'without rotation: whether a refresh answers the refresh token again (off)',
    read: onOff,
  },
  'revoke-old-access': {
    option: 'revokeOldAccess',
    value: 'on|off',
    says: 'whether a refresh revokes earlier access tokens (off)',
    read: onOff,
  },
  'login-rejected-status': {
    option: 'loginRejectedStatus',
    value: '401',
    says: 'status of a failed login',
    read: number,
  },
  'refresh-rejected-status': {
    option: 'refreshRejectedStatus',
    value: '401',
    says: 'status of a failed refresh',
    read: number,
  },
  'rate-limit': { option: 'rateLimit', value: '60|off', says: 'data calls a minute, standard tier', read: limit },
  'enterprise-rate-limit': {
    option: 'enterpriseRateLimit',
    value: 'off|600',
    says: 'data calls a minute, other tiers',
    read: limit,
  },
  'api-key': { option: 'apiKey', value: 'sk_…', says: 'server-held key to accept (none)', read: text },
  'any-user': {
    option: 'anyUser',
    value: 'on|off',
    says: 'log in any email with the password demo-password (off)',
    read: onOff,
  },
  'any-user-tier': { option: 'anyUserTier', value: 'enterprise', says: 'the tier of those', read: text },
  'stream-credential': {
    option: 'streamCredential',
    value: 'any|apikey|bearer',
    says: 'how a stream shows its credential (any)',
    read: text,
  },
  'stream-protocols': { option: 'streamProtocols', value: 'a,b', says: 'sub-protocols it knows (none)', read: names },
  'stream-symbols': { option: 'streamSymbols', value: '8', says: 'how many symbols the stream knows', read: number },
  'quote-rate': { option: 'quoteRate', value: '0', says: 'quotes a second for each symbol', read: number },
  'quote-seed': { option: 'quoteSeed', value: '1', says: 'what prices derive from', read: number },
  'news-rate': { option: 'newsRate', value: '0', says: 'news messages a second', read: number },
  'transcript-rate': { option: 'transcriptRate', value: '0', says: 'parts of transcripts a second', read: number },
  'stream-padding': {
    option: 'streamPaddingBytes',
    value: '0',
    says: "bytes by which the stream's messages are longer",
    read: number,
  },
  'stream-reply-delay': {
    option: 'streamReplyDelayMs',
    value: '0',
    says: "milliseconds until the stream's replies",
    read: number,
  },
  'stream-silent': { option: 'streamSilent', value: 'on|off', says: 'streams that say nothing (off)', read: onOff },
  'stream-drop-after': {
    option: 'streamDropAfter',
    value: '100|off',
    says: 'messages until a stream is cut (off)',
    read: countOrOff,
  },
  record: {
    option: 'record',
    value: 'on|off',
    says: 'remember requests; off = counters only, faster (on)',
    read: onOff,
  },
};

/** What the command line asks for. */
export type Command =
  | { readonly kind: 'start'; readonly options: SimulatorOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'mistake'; readonly message: string };

/** The usage text. */
export function usage(): string {
  const lines = Object.entries(FLAGS).map(([name, { value, says }]) => `  ${`--${name} ${value}`.padEnd(38)}${says}`);
  return [
    'A Finvera that misbehaves on demand.',
    '',
    'usage: npm run simulator -- [--port 4000] [options]',
    '',
    ...lines,
    `  ${'--user email:password:tier'.padEnd(38)}replaces the default users; repeatable`,
    `  ${'--help'.padEnd(38)}this text`,
    '',
    'Default users, password demo-password: demo@finvera.test, enterprise@finvera.test (tier enterprise),',
    'standard@finvera.test, second@finvera.test (tier standard).',
    'While it runs: POST /__sim/faults, GET /__sim/requests, GET /__sim/counters, POST /__sim/revoke, POST /__sim/reset,',
    'PATCH /__sim/options, POST /__sim/clock, GET /__sim/streams, POST /__sim/streams/push, POST /__sim/streams/drop.',
  ].join('\n');
}

/** Reads the arguments after the script's name. */
export function readCommandLine(args: readonly string[]): Command {
  try {
    const { values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        help: { type: 'boolean' },
        user: { type: 'string', multiple: true },
        ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, { type: 'string' as const }])),
      },
    });
    if (values.help === true) return { kind: 'help' };
    return { kind: 'start', options: optionsOf(values) };
  } catch (error) {
    return { kind: 'mistake', message: (error as Error).message };
  }
}

function optionsOf(values: Readonly<Record<string, unknown>>): SimulatorOptions {
  const options: Record<string, unknown> = { port: 4000 };
  for (const [name, given] of Object.entries(values)) {
    const flag = FLAGS[name];
    if (flag === undefined) continue;
    const value = flag.read(String(given));
    if (value === undefined) throw new InvalidInput(`--${name}: '${given}' is not ${flag.value}`);
    checkOption(name, flag, value);
    options[flag.option] = value;
  }
  if (Array.isArray(values.user)) options.users = values.user.map(userOf);
  return options as SimulatorOptions;
}

const NOT_SETTINGS: ReadonlySet<OptionName> = new Set(['port', 'host', 'record']);

function checkOption(name: string, { option }: Flag, value: unknown): void {
  try {
    if (!NOT_SETTINGS.has(option)) checkSettings({ [option]: value });
  } catch (error) {
    throw new InvalidInput(`--${name}: ${(error as Error).message}`);
  }
  const isBadPort = option === 'port' && !(Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535);
  if (isBadPort) throw new InvalidInput(`--${name}: a whole number from 0 to 65535`);
}

function userOf(given: unknown): SimulatedUser {
  const [email, password, tier, ...rest] = String(given).split(':');
  if (!email || !password || rest.length > 0) throw new InvalidInput(`--user: '${given}' is not email:password:tier`);
  return { email, password, tier: tier ?? 'standard' };
}
