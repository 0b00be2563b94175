/**
 * Serves all browsers of this instance from one upstream connection: answers what it can by itself, tells the upstream of the
 * first who wants a topic and of the last, and hands each message to whoever asked for it. It knows no session, no socket of
 * a browser's and no key; docs/streams.md says what it assumes of the upstream.
 */
import type { HubReport } from '../observability/hub-report.ts';
import { createHeldSubscriptions } from './held-subscriptions.ts';
import { createListQuestion } from './hub-list.ts';
import {
  answers,
  type ClientRequest,
  readClientMessage,
  readUpstreamMessage,
  type Subject,
  type Topic,
} from './hub-protocol.ts';
import { createHubUpstream, type HubUpstream, type HubUpstreamOptions } from './hub-upstream.ts';
import { createSubscriptionCounts } from './subscription-counts.ts';
import { createSubscriptionTeller } from './subscription-teller.ts';

/** A browser as the hub sees it: one that can be told something. */
export interface HubReader {
  /** Text in UTF-8; the same bytes for every reader. Drops, or ends the reader, as it likes. Must not throw. */
  send(text: Buffer): void;
}

export interface HubMember {
  /** What the browser sent. */
  receive(data: Buffer, isBinary: boolean): void;
  /** Nothing is sent to it any more. Safe to call again. */
  leave(): void;
}

export interface StreamHub {
  /** @param owner whose browser it is: what all of theirs hold together is bounded. */
  join(reader: HubReader, owner: string): HubMember;
  stats(): HubStats;
  close(): void;
}

export interface HubStats {
  readonly readers: number;
  /** That somebody wants, and that the upstream was told of. */
  readonly topics: number;
  readonly held: number;
  readonly upstream: HubUpstream['state'];
}

export interface HubLimits {
  /** Subscriptions of one browser. */
  readonly maxPerReader: number;
  /** Subscriptions of all browsers of one owner: nobody may use up `maxTopics` alone. */
  readonly maxPerOwner: number;
  /** Different topics of all browsers. */
  readonly maxTopics: number;
  /** Messages a second to the upstream in the long run; a burst may be as large as `maxTopics`. */
  readonly upstreamRate: number;
  /** How often an end of `*` may take single symbols along. */
  readonly allEndsEveryMs?: number;
}

export interface StreamHubOptions {
  readonly dial: HubUpstreamOptions['dial'];
  readonly heartbeatMs: number;
  /** The fields under which a message's symbol is looked for, in this order. */
  readonly symbolFields: readonly string[];
  readonly report: HubReport;
  readonly limits?: Partial<HubLimits>;
  /** Default 5 s. */
  readonly lingerMs?: number;
  /** Default 5 s. */
  readonly listTimeoutMs?: number;
  readonly retryTimes?: HubUpstreamOptions['times'];
  readonly random?: () => number;
}

const LIMITS: HubLimits = { maxPerReader: 500, maxPerOwner: 2_000, maxTopics: 10_000, upstreamRate: 500 };
const LINGER_MS = 5_000;
const LIST_TIMEOUT_MS = 5_000;
const LIST_FRESH_MS = 1_000;
const LIST_QUESTION = JSON.stringify({ action: 'list' });
const PING = JSON.stringify({ action: 'ping' });

export function createStreamHub(options: StreamHubOptions): StreamHub {
  const { symbolFields, report } = options;
  const limits = { ...LIMITS, ...options.limits };
  const readers = new Set<HubReader>();
  const counts = createSubscriptionCounts<HubReader>((key, topic) => {
    held.changed(key, topic);
    teller.tell();
  });
  const held = createHeldSubscriptions(counts, limits);
  const byOwner = new Map<string, Set<HubReader>>();
  let isLost = false;

  const upstream = createHubUpstream(
    {
      dial: options.dial,
      heartbeatMs: options.heartbeatMs,
      lingerMs: options.lingerMs ?? LINGER_MS,
      pingMessage: PING,
      ...(options.retryTimes ? { times: options.retryTimes } : {}),
      ...(options.random ? { random: options.random } : {}),
    },
    {
      onOpen() {
        report.connected();
        held.startOver();
        teller.tellNow();
        list.again();
        if (isLost) tellAll(answers.upstream('connected'));
        isLost = false;
      },
      onMessage,
      onLost(why) {
        report.lost(why);
        isLost = true;
        tellAll(answers.upstream('reconnecting'));
      },
      onRetry: report.retrying,
      onKeyRefused: report.keyRefused,
    },
  );
  const teller = createSubscriptionTeller(held, upstream, { burst: limits.maxTopics, perSecond: limits.upstreamRate });
  const list = createListQuestion({
    send: () => upstream.send([LIST_QUESTION]),
    timeoutMs: options.listTimeoutMs ?? LIST_TIMEOUT_MS,
    freshMs: LIST_FRESH_MS,
  });

  function tellAll(text: string): void {
    const data = Buffer.from(text);
    for (const reader of readers) reader.send(data);
  }

  function onMessage(data: Buffer, isBinary: boolean): void {
    report.received();
    const message = isBinary ? BINARY_MESSAGE : readUpstreamMessage(data.toString(), symbolFields);
    if (message.kind === 'data') deliver(message.about, data);
    else if (message.kind === 'batch')
      for (const { about, text } of message.elements) deliver(about, Buffer.from(text));
    else if (message.kind === 'error') report.upstreamError(data.toString());
    else if (message.kind !== 'list') report.dropped(message.kind);
    else if (!list.answered(data)) report.dropped('answer');
  }

  function deliver(about: Subject, data: Buffer): void {
    const count = counts.forEachReader(about, (reader) => reader.send(data));
    if (count === 0) report.dropped('unwanted');
    else report.delivered(count);
  }

  /** @returns why not. */
  function subscribe(reader: HubReader, owner: string, topics: readonly Topic[]): string | undefined {
    let owned = 0;
    for (const each of byOwner.get(owner) ?? []) owned += counts.countOf(each);
    for (const topic of topics) {
      if (counts.countOf(reader) >= limits.maxPerReader) return `At most ${limits.maxPerReader} subscriptions`;
      if (owned >= limits.maxPerOwner) return `At most ${limits.maxPerOwner} subscriptions of one user`;
      // A topic that others have would be no further one; counting it all the same keeps this simple and safe.
      if (counts.size >= limits.maxTopics) return 'Too many different subscriptions at the moment';
      if (counts.add(reader, topic)) owned += 1;
    }
    return undefined;
  }

  function answer(reader: HubReader, owner: string, request: Exclude<ClientRequest, { kind: 'list' }>): string {
    switch (request.kind) {
      case 'subscribe': {
        const problem = subscribe(reader, owner, request.topics);
        if (problem !== undefined) return answers.error(429, 'Too many subscriptions', problem);
        return answers.accepted('subscribe', request.asked);
      }
      case 'unsubscribe':
        for (const topic of request.topics) counts.remove(reader, topic);
        return answers.accepted('unsubscribe', request.asked);
      case 'subscribed':
        return answers.subscribed([...new Set(counts.of(reader).map(({ symbol }) => symbol))]);
      case 'echo':
        return request.text;
      case 'ping':
        return answers.pong;
      case 'invalid':
        return answers.error(400, 'Invalid request parameters', request.details);
    }
  }

  function join(reader: HubReader, owner: string): HubMember {
    readers.add(reader);
    const siblings = byOwner.get(owner) ?? new Set();
    byOwner.set(owner, siblings.add(reader));
    upstream.want();
    if (isLost) reader.send(Buffer.from(answers.upstream('reconnecting')));
    let takeBack: (() => void) | undefined;
    const askList = () => {
      // One question a browser: asked again before the answer it is the same.
      takeBack ??= list.ask((given) => {
        takeBack = undefined;
        if (given.kind === 'answer') reader.send(given.data);
        else reader.send(Buffer.from(answers.error(504, 'No answer', 'The list did not come in time')));
      });
    };
    return {
      receive(data, isBinary) {
        if (!readers.has(reader)) return;
        const request = isBinary ? BINARY : readClientMessage(data.toString());
        if (request.kind === 'list') askList();
        else reader.send(Buffer.from(answer(reader, owner, request)));
      },
      leave() {
        if (!readers.delete(reader)) return;
        takeBack?.();
        counts.removeAll(reader);
        siblings.delete(reader);
        if (siblings.size === 0 && byOwner.get(owner) === siblings) byOwner.delete(owner);
        if (readers.size > 0) return;
        isLost = false;
        upstream.release();
      },
    };
  }

  return {
    join,
    stats: () => ({ readers: readers.size, topics: counts.size, held: held.size, upstream: upstream.state }),
    close() {
      readers.clear();
      byOwner.clear();
      list.close();
      teller.close();
      upstream.close();
    },
  };
}

const BINARY_MESSAGE = { kind: 'binary' } as const;
const BINARY: ClientRequest = { kind: 'invalid', details: 'The message is no text' };
