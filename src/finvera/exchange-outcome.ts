/** What an exchange with Finvera can come to: closed unions, so that no caller can forget one. No I/O. */
import type { Secret } from '../kernel/secret.ts';

/** Tokens as Finvera gave them, with their ends on this machine's clock counted from receipt. Times in ms since 1970. */
export interface TokenGrant {
  readonly access: Secret;
  readonly refresh?: Secret;
  readonly accessExpiresAt: number;
  readonly accessLifeMs: number;
  readonly refreshExpiresAt?: number;
}

/** Finvera's answer to `GET /kms/api/v1/auth/validate`. */
export interface FinveraIdentity {
  readonly user_id: string;
  readonly email: string;
  readonly username: string;
  readonly licensing_tier_id: string;
}

/** Everything that is neither a success nor a rejection. */
export type Failure =
  | { readonly kind: 'rate_limited'; readonly retryAfterMs?: number }
  /** Refused, reset, or a 5xx. */
  | { readonly kind: 'unavailable'; readonly retryAfterMs?: number; readonly cause?: unknown }
  /** A success without what it should hold, or a status that makes no sense here. */
  | { readonly kind: 'invalid'; readonly cause?: unknown }
  | { readonly kind: 'timeout' };

/** Finvera said no: 400, 401, 403 or 422. */
export interface Rejection {
  readonly kind: 'rejected';
  readonly status: number;
}

export type LoginOutcome = { readonly kind: 'granted'; readonly grant: TokenGrant } | Rejection | Failure;

export type ValidateOutcome =
  | {
      readonly kind: 'identified';
      readonly identity: FinveraIdentity;
      readonly body: Readonly<Record<string, unknown>>;
    }
  | Rejection
  | Failure;

export type RefreshOutcome =
  | { readonly kind: 'granted'; readonly grant: TokenGrant }
  | Rejection
  /**
   * `replyLost`: the request may have been carried out although no answer came, so that Finvera may have rotated the
   * refresh token without telling us.
   */
  | {
      readonly kind: 'unavailable';
      readonly why: Failure['kind'];
      readonly retryAfterMs?: number;
      readonly replyLost: boolean;
    };
