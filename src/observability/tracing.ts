/** What the gateway asks of tracing. Types only: nothing of OpenTelemetry is loaded where it is off. */

/** The attributes a span may bear: a closed list, so that no header, query, body, token or address of a person slips in. */
export type SpanField =
  | 'http.request.method'
  | 'http.response.status_code'
  | 'http.route'
  | 'url.path'
  | 'error.type'
  | 'finvera_gateway.request_id'
  | 'finvera_gateway.session'
  | 'finvera_gateway.aborted'
  | 'finvera_gateway.outcome'
  | 'finvera_gateway.operation';

export type SpanFields = Readonly<Partial<Record<SpanField, string | number | boolean | undefined>>>;

/** The span of one request. */
export interface RequestTrace {
  /** W3C, for whoever is asked on behalf of the request: its own span is the parent. */
  readonly traceparent: string;
  /** Undefined where nothing of it is recorded. */
  readonly traceId: string | undefined;
  /** @param error what kind of failure it was, where it was one of the gateway's or the upstream's. */
  end(name: string, fields: SpanFields, error: string | undefined): void;
}

/** How a request came to its trace. */
export interface TraceBeginning {
  readonly method: string;
  /** A valid traceparent that came along. */
  readonly sent: string | undefined;
  /** From a trusted proxy: its trace goes on. From others it is only a claim: a new one begins, linked to it. */
  readonly isTrusted: boolean;
}

export interface Tracing {
  /** What `work` does, also later, belongs to a new request. */
  request(beginning: TraceBeginning, work: () => void): void;
  /** Of the request that is being worked for. */
  current(): RequestTrace | undefined;
  /** A span around `work`, a promise's whole life where it gives one. */
  inside<T>(name: string, work: () => T): T;
  /**
   * A call to Finvera.
   * @param work is given the traceparent to send, undefined outside a request.
   * @param describe what is known of it at its end.
   */
  outbound<T>(
    name: string,
    fields: SpanFields,
    work: (traceparent: string | undefined) => Promise<T>,
    describe: (result: T) => SpanFields,
  ): Promise<T>;
  /** Something that is over already. */
  past(name: string, durationMs: number, fields: SpanFields): void;
  /** Told, once a minute at most, that spans were lost, and as much as is known of why. */
  onProblem(tell: (reason: string) => void): void;
  /** Sends what waits, for so long at most; what is not sent then is lost. */
  close(limitMs: number): Promise<void>;
}
