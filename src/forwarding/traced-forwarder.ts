/** The same forwarder, with a span for each request to the upstream, whose context the upstream is told. It changes no answer. */
import type { Tracing } from '../observability/tracing.ts';
import type { ForwardRequest, ForwardResult } from './forward-request.ts';
import type { HeaderList } from './header-policy.ts';
import type { HttpForwarder } from './http-forwarder.ts';

export function withUpstreamTrace(forwarder: HttpForwarder, tracing: Tracing | undefined): HttpForwarder {
  if (!tracing) return forwarder;
  return {
    ...forwarder,
    forward: (req, res, request) =>
      tracing.outbound(
        `upstream ${request.target.method}`,
        { 'http.request.method': request.target.method },
        (traceparent) => forwarder.forward(req, res, told(request, traceparent)),
        fieldsOf,
      ),
    fetch: (request) =>
      tracing.outbound(
        'upstream GET',
        { 'http.request.method': 'GET' },
        (traceparent) =>
          forwarder.fetch({
            ...request,
            headersWith: (bearer) => withTraceparent(request.headersWith(bearer), traceparent),
          }),
        ({ status }) => statusFields(status),
      ),
  };
}

function told(request: ForwardRequest, traceparent: string | undefined): ForwardRequest {
  return traceparent === undefined ? request : { ...request, context: { ...request.context, traceparent } };
}

function withTraceparent(headers: HeaderList, traceparent: string | undefined): HeaderList {
  const at = headers.indexOf('traceparent');
  return at < 0 || traceparent === undefined ? headers : headers.with(at + 1, traceparent);
}

function fieldsOf(result: ForwardResult) {
  if (result.kind === 'client_gone') return { 'finvera_gateway.outcome': result.kind };
  if (result.kind === 'cut') return { ...statusFields(result.status), 'error.type': result.error.code };
  return statusFields(result.status);
}

const statusFields = (status: number) => ({
  'http.response.status_code': status,
  ...(status >= 500 ? { 'error.type': String(status) } : {}),
});
