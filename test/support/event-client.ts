// A page's EventSource, as far as the wire goes: the head, the events, the comments, and when it is over.
import { type ClientRequest, type IncomingMessage, request } from 'node:http';

export interface SessionEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: unknown;
}

export interface EventClient {
  readonly response: IncomingMessage;
  /** Those with data so far. */
  readonly events: SessionEvent[];
  text(): string;
  /** Undefined while it is open; `whole` where the answer had its proper end. */
  ended(): 'whole' | 'cut' | undefined;
  leave(): void;
}

const open = new Set<ClientRequest>();

/** Resolves once the head is there. */
export function openEvents(
  url: string,
  cookie: string | undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventClient> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/bff/events`,
      { agent: false, headers: { ...(cookie ? { Cookie: cookie } : {}), 'Sec-Fetch-Site': 'same-origin', ...headers } },
      (response) => {
        let text = '';
        let ended: 'whole' | 'cut' | undefined;
        const events: SessionEvent[] = [];
        let taken = 0;
        response.on('data', (chunk) => {
          text += String(chunk);
          for (let end = text.indexOf('\n\n', taken); end >= 0; end = text.indexOf('\n\n', taken)) {
            const event = parse(text.slice(taken, end));
            if (event) events.push(event);
            taken = end + 2;
          }
        });
        response.on('error', () => undefined);
        response.on('close', () => {
          ended = response.complete ? 'whole' : 'cut';
          open.delete(sent);
        });
        resolve({ response, events, text: () => text, ended: () => ended, leave: () => sent.destroy() });
      },
    );
    open.add(sent);
    sent.on('error', reject);
    sent.end();
  });
}

/** For `afterEach`. */
export function closeEventClients(): void {
  for (const each of open) each.destroy();
  open.clear();
}

function parse(block: string): SessionEvent | undefined {
  const field = (name: string) =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  const data = field('data');
  return data === undefined ? undefined : { id: field('id'), event: field('event'), data: JSON.parse(data) };
}
