/** The browser's side of the gateway: log in, ask who is there, call, log out. It holds no token; there is none to hold. */

/** Every problem the gateway reports, by its `code`. */
export class GatewayError extends Error {
  readonly code: string;
  readonly status: number;
  readonly requestId: string | undefined;

  constructor(code: string, status: number, message: string, requestId?: string) {
    super(message);
    this.name = 'GatewayError';
    this.code = code;
    this.status = status;
    this.requestId = requestId;
  }
}

export interface GatewayUser {
  readonly user_id: string;
  readonly email: string;
  readonly username: string;
  readonly licensing_tier_id: string;
}

/** Seconds from now. */
export interface GatewaySession {
  readonly created_at: string;
  readonly expires_in: number;
  readonly idle_expires_in: number;
  readonly access_token_expires_in: number;
}

export interface SessionAnswer {
  readonly user: GatewayUser;
  readonly session: GatewaySession;
}

export interface ListedSession {
  readonly id: string;
  readonly current: boolean;
  readonly created_at: string;
  readonly last_seen_at: string;
  readonly ip: string;
  readonly user_agent: string;
}

export interface GatewayClient {
  login(email: string, password: string): Promise<SessionAnswer>;
  logout(): Promise<void>;
  /** @returns undefined where nobody is logged in. */
  session(): Promise<SessionAnswer | undefined>;
  sessions(): Promise<readonly ListedSession[]>;
  endSession(id: string): Promise<void>;
  /** `fetch` of a path of the gateway's, with the cookie; problems of the gateway's become GatewayError. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

/** @param options.baseUrl the gateway's origin; default: the page's own. */
export function createGatewayClient({ baseUrl = '' }: { readonly baseUrl?: string } = {}): GatewayClient {
  const send = async (path: string, init: RequestInit = {}): Promise<Response> => {
    if (!path.startsWith('/') || path.startsWith('//')) throw new TypeError('path must begin with one slash');
    const headers = new Headers(init.headers);
    headers.set('X-CSRF', '1');
    let response: Response;
    try {
      response = await fetch(baseUrl + path, { ...init, headers, credentials: 'include' });
    } catch (cause) {
      if (init.signal?.aborted) throw cause;
      throw new GatewayError('network_error', 0, 'The gateway cannot be reached.');
    }
    if (response.headers.get('content-type')?.startsWith('application/problem+json')) {
      const problem = (await response.json()) as { code: string; detail: string; request_id: string };
      throw new GatewayError(problem.code, response.status, problem.detail, problem.request_id);
    }
    return response;
  };
  const json = async <T>(path: string, init?: RequestInit) => (await (await send(path, init)).json()) as T;

  return {
    login(email, password) {
      if (!email || !password) throw new TypeError('login needs an email and a password');
      return json('/bff/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email, password }),
      });
    },
    async logout() {
      await send('/bff/logout', { method: 'POST' });
    },
    async session() {
      try {
        return await json<SessionAnswer>('/bff/session');
      } catch (error) {
        if (error instanceof GatewayError && error.status === 401) return undefined;
        throw error;
      }
    },
    sessions: async () => (await json<{ sessions: ListedSession[] }>('/bff/sessions')).sessions,
    async endSession(id) {
      await send(`/bff/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' });
    },
    fetch: send,
  };
}
