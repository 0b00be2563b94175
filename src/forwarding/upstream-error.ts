/** Turns what the HTTP client reports into the gateway's errors. Pure. */
import { ExchangeFault } from '../http-client/exchange-fault.ts';
import { GatewayError } from '../kernel/errors.ts';

/** Refused or reset is 502, no HTTP is 502, not in time is 504 (RFC 9110 §15.6.3–5). An own error passes as it is. */
export function toGatewayError(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause;
  const kind = cause instanceof ExchangeFault ? cause.kind : 'broken';
  if (kind === 'connect_timeout' || codeOf(cause) === 'ETIMEDOUT')
    return new GatewayError('upstream_timeout', { cause });
  const isNoHttp = kind === 'malformed' || kind === 'head_too_large';
  return new GatewayError(isNoHttp ? 'upstream_invalid' : 'upstream_refused', { cause });
}

/** What a failure says of the upstream: nothing, where the client or the gateway itself was the cause. */
export const isUpstreamFault = ({ kind }: GatewayError): boolean =>
  kind === 'upstream_refused' || kind === 'upstream_timeout';

/** No answer of the upstream's and no verdict of the gateway's: what was sent may be tried again, if it may be done twice. */
export const isBrokenConnection = (cause: unknown): boolean =>
  !(cause instanceof GatewayError) && toGatewayError(cause).kind === 'upstream_refused';

export function codeOf(cause: unknown): string | undefined {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
