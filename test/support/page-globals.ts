// What a page has and Node has not: a fetch that keeps cookies, an EventSource and a WebSocket that send them. For one test at a time.
import { EventSource as NodeEventSource } from 'undici';

/** A browser's cookies, by the host and port of who set them. */
export interface CookieJar {
  readonly cookies: Map<string, string>;
  /** False: the browser keeps no cookie at all. */
  accepts: boolean;
}

/** @returns what takes it all away again. */
export function installPage(origin: string): { readonly jar: CookieJar; readonly sent: Request[]; remove(): void } {
  const jar: CookieJar = { cookies: new Map(), accepts: true };
  const sent: Request[] = [];
  const nodeFetch = globalThis.fetch;
  const NodeWebSocket = globalThis.WebSocket;
  const cookie = () => [...jar.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const keep = (line: string) => {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
    if (!jar.accepts || value === '') jar.cookies.delete(name);
    else jar.cookies.set(name, value);
  };
  const pageFetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    sent.push(request.clone());
    const headers = new Headers(request.headers);
    headers.set('Sec-Fetch-Site', 'same-origin');
    if (jar.cookies.size > 0) headers.set('Cookie', cookie());
    const response = await nodeFetch(new Request(request, { headers }));
    response.headers.getSetCookie().forEach(keep);
    return response;
  };
  class PageWebSocket extends NodeWebSocket {
    constructor(url: string) {
      super(url, { headers: { Origin: origin, Cookie: cookie() } } as never);
    }
  }
  const page = {
    fetch: pageFetch,
    WebSocket: PageWebSocket,
    EventSource: NodeEventSource,
    location: { href: `${origin}/app/` },
  };
  const before = Object.fromEntries(
    Object.keys(page).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]),
  );
  for (const [name, value] of Object.entries(page)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  return {
    jar,
    sent,
    remove() {
      for (const [name, descriptor] of Object.entries(before)) {
        if (descriptor) Object.defineProperty(globalThis, name, descriptor);
        else Reflect.deleteProperty(globalThis, name);
      }
    },
  };
}
