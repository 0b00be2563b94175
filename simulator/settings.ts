// What the simulator can be told to be: every setting, its default and its bounds. Reads no command line and no environment.
import { z } from 'zod';

/** A Finvera user as the simulator knows it. */
export interface SimulatedUser {
  readonly email: string;
  readonly password: string;
  /** Default: a UUID derived from the email, the same in every run. */
  readonly userId?: string;
  /** Default: the part of the email before the `@`. */
  readonly username?: string;
  /** `licensing_tier_id`; only `standard` is rate limited by {@link SimulatorSettings.rateLimit}. Default `standard`. */
  readonly tier?: string;
}

/** Exact lengths, in characters, to which tokens are padded. */
interface TokenSizes {
  readonly access: number;
  readonly refresh: number;
}

/** How the simulated Finvera behaves; all of it can change while it runs ({@link Simulator.configure}). */
export interface SimulatorSettings {
  /** Log in any email with the password `demo-password`; the user id is stable per email. Default false. */
  anyUser: boolean;
  /** Tier of users known only through `anyUser`. Default `enterprise`. */
  anyUserTier: string;
  /** Where a login's and a refresh's tokens travel. Default `cookies`. */
  tokenIn: 'cookies' | 'json' | 'both';
  /** `jwt` is HS256 with iss, sub, jti, iat, exp; `opaque` is random. Default `jwt`. */
  tokenFormat: 'jwt' | 'opaque';
  /** Pads tokens to exact lengths; `null` leaves them as they come. Default null. */
  tokenSizes: TokenSizes | null;
  /** Seconds. Default 3600. */
  accessTokenLifeS: number;
  /** Seconds. Default 2 592 000 (30 days). */
  refreshTokenLifeS: number;
  /** Whether answers bear `expires_in`. Default true. */
  expiresIn: boolean;
  /** Whether token cookies bear `Max-Age`. Default true. */
  cookieMaxAge: boolean;
  /** Seconds by which the `iat` and `exp` claims are shifted; real expiry is not. Default 0. */
  clockSkewS: number;
  /** Whether a refresh replaces the refresh token. Default true. */
  rotation: boolean;
  /** With rotation: a spent refresh token shown again revokes its whole family. Default true. */
  reuseDetection: boolean;
  /** Milliseconds after its use in which a spent refresh token still works. Default 0. */
  reuseGraceMs: number;
  /** Without rotation: whether a refresh answers the unchanged refresh token too. Default false. */
  repeatRefreshToken: boolean;
  /** Whether a refresh revokes the family's earlier access tokens. Default false: they live until they expire. */
  revokeOldAccess: boolean;
  /** Status of a login with wrong credentials (Finvera does not document it). Default 401. */
  loginRejectedStatus: number;
  /** Status of a refresh with an unusable refresh token. Default 401. */
  refreshRejectedStatus: number;
  /** Data calls a minute for one user of the `standard` tier. Default 60. */
  rateLimit: number | 'off';
  /** Data calls a minute for one user of any other tier. Default `off`. */
  enterpriseRateLimit: number | 'off';
  /** Server-held key accepted as `?apikey=` or bearer on data calls and the stream; `null` accepts none. Default null. */
  apiKey: string | null;
  /** How a stream shows its credential: the key as `?apikey=`, a bearer (key or access token), or either. Default `any`. */
  streamCredential: 'any' | 'apikey' | 'bearer';
  /** Sub-protocols the stream knows, the preferred first. Default none. */
  streamProtocols: string[];
  /** How many symbols the stream knows: the securities' first, then made-up ones. Default 8. */
  streamSymbols: number;
  /** Quotes a second for each symbol, fractions too. Default 0. */
  quoteRate: number;
  /** What prices derive from. Default 1. */
  quoteSeed: number;
  /** News messages a second, the symbols in turn. Default 0. */
  newsRate: number;
  /** Parts of transcripts a second, the symbols in turn. Default 0. */
  transcriptRate: number;
  /** Bytes by which quotes, news and transcripts are longer. Default 0. */
  streamPaddingBytes: number;
  /** Milliseconds after which a stream's messages are replied to. Default 0. */
  streamReplyDelayMs: number;
  /** Whether streams stay open and say nothing: no data, no reply, no pong. Default false. */
  streamSilent: boolean;
  /** How many messages a stream is sent before its connection is cut; `null` never. Default null. */
  streamDropAfter: number | null;
}

/** What {@link createSimulator} takes: the settings, and what is fixed for the life of one simulator. */
export interface SimulatorOptions extends Partial<SimulatorSettings> {
  /** 0 = any free port. Default 0. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Replaces the default users. */
  readonly users?: readonly SimulatedUser[];
  /** `false` keeps counters only, for benchmarks: `requests()` is then empty. Default true. */
  readonly record?: boolean;
  /** How many requests are remembered; the oldest go first. Default 50 000. */
  readonly journalSize?: number;
  /** Milliseconds an idle connection is kept. Default 60 000. */
  readonly keepAliveTimeoutMs?: number;
  /** The clock, in milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

/** The settings of a simulator that was told nothing. */
export const DEFAULT_SETTINGS: Readonly<SimulatorSettings> = {
  anyUser: false,
  anyUserTier: 'enterprise',
  tokenIn: 'cookies',
  tokenFormat: 'jwt',
  tokenSizes: null,
  accessTokenLifeS: 3600,
  refreshTokenLifeS: 2_592_000,
  expiresIn: true,
  cookieMaxAge: true,
  clockSkewS: 0,
  rotation: true,
  reuseDetection: true,
  reuseGraceMs: 0,
  repeatRefreshToken: false,
  revokeOldAccess: false,
  loginRejectedStatus: 401,
  refreshRejectedStatus: 401,
  rateLimit: 60,
  enterpriseRateLimit: 'off',
  apiKey: null,
  streamCredential: 'any',
  streamProtocols: [],
  streamSymbols: 8,
  quoteRate: 0,
  quoteSeed: 1,
  newsRate: 0,
  transcriptRate: 0,
  streamPaddingBytes: 0,
  streamReplyDelayMs: 0,
  streamSilent: false,
  streamDropAfter: null,
};

const limit = z.union([z.int().min(1).max(10_000_000), z.literal('off')]);
const rate = z.number().min(0).max(100_000);
const seconds = z.number().min(0).max(315_360_000);
// An unpadded token is about 390 characters: below 450 the exact length could not be kept.
const tokenLength = z.int().min(450).max(16_000);

const settingsSchema = z
  .strictObject({
    anyUser: z.boolean(),
    anyUserTier: z.string().min(1),
    tokenIn: z.enum(['cookies', 'json', 'both']),
    tokenFormat: z.enum(['jwt', 'opaque']),
    tokenSizes: z.strictObject({ access: tokenLength, refresh: tokenLength }).nullable(),
    accessTokenLifeS: seconds,
    refreshTokenLifeS: seconds,
    expiresIn: z.boolean(),
    cookieMaxAge: z.boolean(),
    clockSkewS: z.number().min(-315_360_000).max(315_360_000),
    rotation: z.boolean(),
    reuseDetection: z.boolean(),
    reuseGraceMs: z.number().min(0),
    repeatRefreshToken: z.boolean(),
    revokeOldAccess: z.boolean(),
    loginRejectedStatus: z.int().min(400).max(599),
    refreshRejectedStatus: z.int().min(400).max(599),
    rateLimit: limit,
    enterpriseRateLimit: limit,
    apiKey: z.string().min(1).nullable(),
    streamCredential: z.enum(['any', 'apikey', 'bearer']),
    streamProtocols: z.array(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/)),
    streamSymbols: z.int().min(1).max(100_000),
    quoteRate: rate,
    quoteSeed: z.int().min(0).max(4_294_967_295),
    newsRate: rate,
    transcriptRate: rate,
    streamPaddingBytes: z.int().min(0).max(16_000_000),
    streamReplyDelayMs: z.number().min(0).max(3_600_000),
    streamSilent: z.boolean(),
    streamDropAfter: z.int().min(1).nullable(),
  } satisfies Record<keyof SimulatorSettings, z.ZodType>)
  .partial();

/** Thrown for input the simulator refuses; the message names every problem. */
export class InvalidInput extends Error {}

/**
 * Checks input against a schema.
 * @throws InvalidInput naming each problem by its path.
 */
export function checkInput<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const path = issue.path.join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  throw new InvalidInput(problems.join('; '));
}

/**
 * Checks changes to the settings, e.g. from the command line or `PATCH /__sim/options`.
 * @throws InvalidInput naming each bad setting.
 */
export function checkSettings(input: unknown): Partial<SimulatorSettings> {
  const checked = checkInput(settingsSchema, input);
  const given = Object.entries(checked).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Partial<SimulatorSettings>;
}
