// Every token the simulated Finvera has issued: what is valid, spent or revoked. Knows nothing of HTTP.
import { randomBytes } from 'node:crypto';
import type { SimulatorSettings } from './settings.ts';
import { writeToken } from './token-text.ts';
import type { User } from './users.ts';

/** What a login or a refresh hands out. */
export interface TokenGrant {
  readonly accessToken: string;
  /** Undefined where a refresh leaves the refresh token as it is and does not repeat it. */
  readonly refreshToken: string | undefined;
}

/** What became of a refresh. */
type RefreshOutcome =
  | { readonly kind: 'granted'; readonly grant: TokenGrant }
  | { readonly kind: 'unknown' | 'expired' | 'revoked' | 'reused' };

/** The state of an access token. */
type AccessState =
  | { readonly kind: 'valid'; readonly user: User }
  | { readonly kind: 'unknown' | 'expired' | 'revoked' };

/** How many tokens a revocation ended. */
export interface RevokedCount {
  readonly access: number;
  readonly refresh: number;
}

/** Issues, checks and revokes tokens. */
export interface TokenRegistry {
  login(user: User): TokenGrant;
  refresh(refreshToken: string): RefreshOutcome;
  checkAccess(accessToken: string): AccessState;
  /** Revokes the tokens of one user, or of everyone. */
  revoke(what: 'access' | 'refresh' | 'all', email?: string): RevokedCount;
  clear(): void;
}

/** All tokens that stem from one login. */
interface Family {
  readonly user: User;
  revoked: boolean;
  /** Access tokens numbered below this one are revoked. */
  firstValidAccess: number;
  nextAccess: number;
}

interface IssuedToken {
  readonly family: Family;
  readonly expiresAtMs: number;
  readonly number: number;
  revoked: boolean;
  /** When a refresh token was first exchanged; undefined while unspent. */
  spentAtMs: number | undefined;
}

// Memory stays bounded in long runs: beyond this the oldest tokens are forgotten, and count as unknown.
const MAX_TOKENS = 200_000;

class MemoryTokenRegistry implements TokenRegistry {
  readonly #settings: SimulatorSettings;
  readonly #now: () => number;
  readonly #key = randomBytes(32);
  readonly #tokens = { access: new Map<string, IssuedToken>(), refresh: new Map<string, IssuedToken>() };

  constructor(settings: SimulatorSettings, now: () => number) {
    this.#settings = settings;
    this.#now = now;
  }

  login(user: User): TokenGrant {
    const family: Family = { user, revoked: false, firstValidAccess: 0, nextAccess: 0 };
    return { accessToken: this.#issue(family, 'access'), refreshToken: this.#issue(family, 'refresh') };
  }

  refresh(refreshToken: string): RefreshOutcome {
    const issued = this.#tokens.refresh.get(refreshToken);
    if (issued === undefined) return { kind: 'unknown' };
    if (issued.revoked || issued.family.revoked) return { kind: 'revoked' };
    if (issued.expiresAtMs <= this.#now()) return { kind: 'expired' };
    const { spentAtMs } = issued;
    const isSpent = spentAtMs !== undefined && this.#now() - spentAtMs >= this.#settings.reuseGraceMs;
    if (!isSpent) return { kind: 'granted', grant: this.#exchange(refreshToken, issued) };
    // RFC 9700 §4.14.2: whoever shows a spent token may be a thief, and so may the holder of its successor.
    if (this.#settings.reuseDetection) issued.family.revoked = true;
    return { kind: 'reused' };
  }

  checkAccess(accessToken: string): AccessState {
    const issued = this.#tokens.access.get(accessToken);
    if (issued === undefined) return { kind: 'unknown' };
    const { family } = issued;
    if (issued.revoked || family.revoked || issued.number < family.firstValidAccess) return { kind: 'revoked' };
    if (issued.expiresAtMs <= this.#now()) return { kind: 'expired' };
    return { kind: 'valid', user: family.user };
  }

  revoke(what: 'access' | 'refresh' | 'all', email?: string): RevokedCount {
    const access = what === 'refresh' ? 0 : revokeIn(this.#tokens.access, email);
    const refresh = what === 'access' ? 0 : revokeIn(this.#tokens.refresh, email);
    return { access, refresh };
  }

  clear(): void {
    this.#tokens.access.clear();
    this.#tokens.refresh.clear();
  }

  #exchange(refreshToken: string, issued: IssuedToken): TokenGrant {
    const { family } = issued;
    if (this.#settings.revokeOldAccess) family.firstValidAccess = family.nextAccess;
    const accessToken = this.#issue(family, 'access');
    if (!this.#settings.rotation) {
      return { accessToken, refreshToken: this.#settings.repeatRefreshToken ? refreshToken : undefined };
    }
    issued.spentAtMs ??= this.#now();
    return { accessToken, refreshToken: this.#issue(family, 'refresh') };
  }

  #issue(family: Family, use: 'access' | 'refresh'): string {
    const { accessTokenLifeS, refreshTokenLifeS, clockSkewS, tokenFormat, tokenSizes } = this.#settings;
    const lifeS = use === 'access' ? accessTokenLifeS : refreshTokenLifeS;
    const claimedAtS = Math.floor(this.#now() / 1000) + clockSkewS;
    const token = writeToken({
      format: tokenFormat,
      use,
      subject: family.user.userId,
      issuedAtS: claimedAtS,
      expiresAtS: claimedAtS + lifeS,
      length: tokenSizes?.[use],
      key: this.#key,
    });
    const expiresAtMs = this.#now() + lifeS * 1000;
    const number = use === 'access' ? family.nextAccess++ : 0;
    const tokens = this.#tokens[use];
    tokens.set(token, { family, expiresAtMs, number, revoked: false, spentAtMs: undefined });
    if (tokens.size > MAX_TOKENS) tokens.delete(tokens.keys().next().value as string);
    return token;
  }
}

/** Builds the registry; settings are read on each call, so that they may change. */
export function createTokenRegistry(settings: SimulatorSettings, now: () => number): TokenRegistry {
  return new MemoryTokenRegistry(settings, now);
}

function revokeIn(tokens: Map<string, IssuedToken>, email: string | undefined): number {
  let count = 0;
  for (const issued of tokens.values()) {
    const isMeant = email === undefined || issued.family.user.email.toLowerCase() === email.toLowerCase();
    if (!isMeant || issued.revoked) continue;
    issued.revoked = true;
    count++;
  }
  return count;
}
