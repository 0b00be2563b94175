/** What went wrong on the way to Finvera, as `Proxy-Status` names it (RFC 9209 §2.3). It tells no host and no address. Pure. */
import { codeOf } from '../forwarding/upstream-error.ts';
import type { ErrorKind, GatewayError } from '../kernel/errors.ts';
import { PSEUDONYM } from '../kernel/via.ts';

/** What is not here did not go wrong on the way: there the gateway is the origin of its answer, and says nothing (§2). */
const TYPES: Partial<Record<ErrorKind, string>> = {
  upstream_invalid: 'http_protocol_error',
  upstream_refused: 'connection_terminated',
  upstream_timeout: 'http_response_timeout',
  upstream_unavailable: 'destination_unavailable',
  loop_detected: 'proxy_loop_detected',
  internal_error: 'proxy_internal_error',
};

/** More exactly, where the code of the failure says so. */
const CODES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ECONNREFUSED: 'connection_refused',
    ENOTFOUND: 'dns_error',
    EAI_AGAIN: 'dns_error',
    EHOSTUNREACH: 'destination_ip_unroutable',
    ENETUNREACH: 'destination_ip_unroutable',
    ETIMEDOUT: 'connection_timeout',
    connect_timeout: 'connection_timeout',
    head_too_large: 'http_response_header_section_size',
    CERT_HAS_EXPIRED: 'tls_certificate_error',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'tls_certificate_error',
    SELF_SIGNED_CERT_IN_CHAIN: 'tls_certificate_error',
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls_certificate_error',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls_certificate_error',
    ERR_TLS_CERT_ALTNAME_INVALID: 'tls_certificate_error',
  }),
);

/** @returns the field's value, or undefined where there is nothing to say. */
export function proxyStatusOf({ kind, cause }: GatewayError): string | undefined {
  const type = TYPES[kind];
  return type && `${PSEUDONYM}; error=${CODES.get(codeOf(cause) ?? '') ?? type}`;
}
