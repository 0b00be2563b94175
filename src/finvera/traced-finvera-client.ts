/** The same client, with a span for each exchange, whose context Finvera is told. It changes no answer. */
import type { Tracing } from '../observability/tracing.ts';
import type { CallContext, FinveraClient } from './finvera-client.ts';

export function withExchangeTrace(client: FinveraClient, tracing: Tracing | undefined): FinveraClient {
  if (!tracing) return client;
  const traced = <T extends { readonly kind: string }>(
    operation: string,
    context: CallContext,
    call: (context: CallContext) => Promise<T>,
  ): Promise<T> =>
    tracing.outbound(
      `exchange ${operation}`,
      { 'finvera_gateway.operation': operation },
      (traceparent) => call(traceparent === undefined ? context : { ...context, traceparent }),
      ({ kind }) => ({ 'finvera_gateway.outcome': kind, ...(GOOD.includes(kind) ? {} : { 'error.type': kind }) }),
    );
  return {
    login: (email, password, context) => traced('login', context, (told) => client.login(email, password, told)),
    refresh: (token, context) => traced('refresh', context, (told) => client.refresh(token, told)),
    validate: (token, context) => traced('validate', context, (told) => client.validate(token, told)),
    close: client.close,
  };
}

/** Finvera did its part; a password that is not right is no failure of a call. */
const GOOD: readonly string[] = ['granted', 'identified', 'rejected'];
