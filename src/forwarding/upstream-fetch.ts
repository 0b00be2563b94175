/**
 * Asks the upstream on nobody's connection: for an answer that is to be kept, or that several wait for. No client that
 * leaves ends it, and nothing of it is sent to one. Otherwise as a forwarded request: one replay after a 401, one retry.
 */
import type { GatewayError } from '../kernel/errors.ts';
import type { Permit } from './circuit-breaker.ts';
import type { UnauthorizedVerdict } from './forward-request.ts';
import type { HeaderList } from './header-policy.ts';
import { sendUpstream, type UpstreamAttempt, type UpstreamWays } from './upstream-attempt.ts';
import { isBrokenConnection, isUpstreamFault, toGatewayError } from './upstream-error.ts';

export interface FetchRequest {
  /** Path and query, below the base path. */
  readonly path: string;
  readonly bearer: string | undefined;
  /** All header fields of the request with this bearer. */
  headersWith(bearer: string | undefined): HeaderList;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  /** Who is behind the request: failures that one party provokes must not end the service of others. */
  readonly party?: string;
  /** Called once when the exchange is over, its body too, however it ended. */
  readonly onOver?: () => void;
  /** Asked once. A rejection becomes the answer. */
  readonly onUnauthorized?: () => Promise<UnauthorizedVerdict>;
}

export interface FetchedReader {
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFailure(cause: GatewayError): void;
}

/** The head is here; the body waits until somebody reads it. */
export interface FetchedAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly upstreamMs: number;
  /** Of whose request it is: the one that was sent last. */
  readonly bearer: string | undefined;
  /** Begins or goes on, for this reader from now on. Must be called, or `cancel`. */
  read(reader: FetchedReader): void;
  pause(): void;
  resume(): void;
  cancel(): void;
}

export interface FetchParts {
  readonly ways: UpstreamWays;
  readonly permit: Permit;
  /** The exchange is over, its body too. */
  readonly onOver: () => void;
}

/** @throws GatewayError where there is no answer */
export function fetchUpstream(parts: FetchParts, request: FetchRequest): Promise<FetchedAnswer> {
  const { ways, permit, onOver } = parts;
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    let replayed = false;
    let retried = false;
    let reader: FetchedReader | undefined;
    /** What came before anybody read: an end, or a connection that broke, while the body was paused. */
    let unread: ((reader: FetchedReader) => void)[] = [];
    const tell = (event: (reader: FetchedReader) => void) => {
      if (reader) event(reader);
      else unread.push(event);
    };
    const fail = (cause: unknown) => {
      const error = toGatewayError(cause);
      if (isUpstreamFault(error)) permit.fail();
      onOver();
      reject(error);
    };
    const send = (bearer: string | undefined): void => {
      let hasHead = false;
      const attempt: UpstreamAttempt = sendUpstream(
        ways,
        {
          method: 'GET',
          path: request.path,
          headers: request.headersWith(bearer),
          body: undefined,
          headersTimeoutMs: request.headersTimeoutMs,
          bodyTimeoutMs: request.bodyTimeoutMs,
        },
        {
          onHead(status, headers) {
            hasHead = true;
            permit.succeed();
            attempt.pause();
            const answer = (): void => {
              resolve({
                status,
                headers,
                bearer,
                upstreamMs: performance.now() - startedAt,
                read(next) {
                  reader = next;
                  for (const event of unread) event(next);
                  unread = [];
                  attempt.resume();
                },
                pause: () => attempt.pause(),
                resume: () => attempt.resume(),
                cancel() {
                  attempt.cancel();
                  onOver();
                },
              });
            };
            if (status !== 401 || replayed || !request.onUnauthorized) return answer();
            replayed = true;
            request.onUnauthorized().then(
              (verdict) => {
                if (verdict.kind === 'pass') return answer();
                attempt.cancel();
                send(verdict.bearer);
              },
              (error: unknown) => {
                attempt.cancel();
                fail(error);
              },
            );
          },
          onChunk(chunk) {
            const own = Buffer.from(chunk);
            tell((each) => each.onChunk(own));
          },
          onEnd() {
            onOver();
            tell((each) => each.onEnd());
          },
          onFailure(cause) {
            if (!hasHead && !retried && isBrokenConnection(cause)) {
              retried = true;
              return send(bearer);
            }
            if (!hasHead) return fail(cause);
            onOver();
            tell((each) => each.onFailure(toGatewayError(cause)));
          },
        },
      );
    };
    send(request.bearer);
  });
}
