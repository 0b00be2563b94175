/** What the gateway's own endpoints answer with. No token among it: there is none in a browser. */

export interface GatewayUser {
  readonly user_id: string;
  readonly email: string;
  readonly username: string;
  readonly licensing_tier_id: string;
}

/** Seconds from the moment of the answer. */
export interface GatewaySession {
  /** RFC 3339. */
  readonly created_at: string;
  /** Until the session ends, whatever the user does. */
  readonly expires_in: number;
  /** Until the session ends where the user does nothing. */
  readonly idle_expires_in: number;
  /** Until the gateway must have renewed Finvera's token. It does so by itself. */
  readonly access_token_expires_in: number;
}

export interface SessionAnswer {
  readonly user: GatewayUser;
  readonly session: GatewaySession;
}

export interface ListedSession {
  /** For `endSession`; not the cookie. */
  readonly id: string;
  /** True for the session of this browser. */
  readonly current: boolean;
  readonly created_at: string;
  readonly last_seen_at: string;
  readonly ip: string;
  readonly user_agent: string;
}
