// What a failed call means to the person at the screen: a title, a sentence, and whether waiting helps. Pure.
import { isGatewayError } from './gateway.ts';

export interface Problem {
  readonly title: string;
  readonly detail: string;
  /** The gateway's word for it; for whoever has to find out why. */
  readonly code: string;
  readonly requestId: string | undefined;
  /** Seconds after which another try makes sense. */
  readonly retryAfterS: number | undefined;
}

/** Only what a visitor can make something of; the rest speaks with the gateway's own sentence. */
const TITLES: Readonly<Record<string, string>> = {
  login_rejected: 'Not logged in',
  too_many_attempts: 'Too many attempts',
  rate_limited: 'Finvera asks for a pause',
  upstream_unavailable: 'Finvera cannot be reached',
  upstream_timeout: 'Finvera does not answer in time',
  upstream_invalid: 'Finvera answered something unusable',
  store_unavailable: 'Sessions cannot be read just now',
  unavailable: 'The gateway is about to restart',
  cookie_refused: 'Your browser refused the session cookie',
  network_error: 'The gateway cannot be reached',
  unexpected_answer: 'Something else than the gateway answered',
  origin_forbidden: 'This page may not use the gateway',
};

export function problemOf(error: unknown): Problem {
  if (!isGatewayError(error)) {
    const detail = error instanceof Error ? error.message : String(error);
    return {
      title: 'Something went wrong in this page',
      detail,
      code: 'page',
      requestId: undefined,
      retryAfterS: undefined,
    };
  }
  return {
    title: TITLES[error.code] ?? 'That did not work',
    detail: error.message,
    code: error.code,
    requestId: error.requestId,
    retryAfterS: error.retryAfter,
  };
}

/** Finvera's own refusals reach the page as they are. */
export async function problemOfAnswer(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => undefined)) as
    | { error?: { message?: unknown; details?: unknown } }
    | undefined;
  const words = [body?.error?.message, body?.error?.details].filter((part) => typeof part === 'string');
  const retryAfter = Number(response.headers.get('Retry-After') ?? Number.NaN);
  return {
    title: `Finvera answered ${response.status}`,
    detail: words.join(': ') || 'It gave no reason.',
    code: String(response.status),
    requestId: response.headers.get('X-Request-Id') ?? undefined,
    retryAfterS: Number.isNaN(retryAfter) ? undefined : retryAfter,
  };
}
