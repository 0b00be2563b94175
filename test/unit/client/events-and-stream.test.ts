// What the browser client makes of the event connection and of the stream, against a server that says what the test wants.
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createGatewayClient, type GatewayClient, type GatewayError } from '../../../src/client/client.ts';
import { installPage } from '../../support/page-globals.ts';
import { problem, type ScriptedBff, startScriptedBff } from '../../support/scripted-bff.ts';
import { until } from '../../support/until.ts';

let bff: ScriptedBff;
let page: ReturnType<typeof installPage>;
const clients: GatewayClient[] = [];

beforeEach(async () => {
  bff = await startScriptedBff();
  page = installPage(bff.origin);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  page.remove();
  await bff.close();
});

/** A tab that writes down what it hears. */
function openTab(): { client: GatewayClient; heard: string[] } {
  const client = createGatewayClient();
  clients.push(client);
  const heard: string[] = [];
  client.on('signedIn', () => heard.push('signedIn'));
  client.on('signedOut', (reason) => heard.push(`signedOut ${reason}`));
  client.on('refreshed', () => heard.push('refreshed'));
  client.on('expiring', (reason) => heard.push(`expiring ${reason}`));
  return { client, heard };
}

const login = (client: GatewayClient) => client.login('demo@finvera.test', 'demo-password');
const within = 10_000;
/** Connected, and asked who is there since: what ends from now on is heard of from the connection. */
async function connected(count = 1, asked = 2): Promise<void> {
  const asking = 'GET /bff/session?slide=false';
  await until(
    'connected',
    () => bff.events.size === count && bff.requests.filter((line) => line === asking).length >= asked,
    within,
  );
}

/** What a browser tells a page, for as long as the work runs. */
async function withPageEvents(work: (tell: (type: string) => void) => Promise<void>): Promise<void> {
  const target = new EventTarget();
  const page = {
    addEventListener: target.addEventListener.bind(target),
    removeEventListener: target.removeEventListener.bind(target),
    document: Object.assign(target, { visibilityState: 'visible' }),
  };
  for (const [name, value] of Object.entries(page))
    Object.defineProperty(globalThis, name, { value, configurable: true });
  try {
    await work((type) => target.dispatchEvent(new Event(type)));
  } finally {
    for (const name of Object.keys(page)) Reflect.deleteProperty(globalThis, name);
  }
}

describe('the event connection', () => {
  test('is one for all tabs, and all hear what it says', async () => {
    const tabs = [openTab(), openTab(), openTab()];
    await login(tabs[0]?.client as GatewayClient);
    await until('connected', () => bff.events.size > 0, within);
    bff.tell({ type: 'refreshed' });
    bff.tell({ type: 'something new' });
    bff.tell({ type: 'expiring', reason: 'idle' });
    for (const { heard } of tabs) {
      await until('heard', () => heard.includes('expiring idle'), within);
      expect(heard).toEqual(['signedIn', 'refreshed', 'expiring idle']);
    }
    expect(bff.events.size).toBe(1);
  });

  test('moves to another tab when the one that held it closes', async () => {
    const [first, second] = [openTab(), openTab()];
    await login(first.client);
    await connected();
    const [held] = bff.events;
    first.client.close();
    await until('moved', () => !bff.events.has(held as never), within);
    await connected(1, 3);
    bff.isSignedIn = false;
    bff.tell({ type: 'ended', reason: 'ended_by_user' });
    await until('heard', () => second.heard.includes('signedOut ended_by_user'), within);
    expect(first.heard).toEqual(['signedIn']);
  });

  test('is not believed where a login has replaced the session that ended', async () => {
    const { client, heard } = openTab();
    await login(client);
    await connected();
    const before = bff.requests.length;
    bff.tell({ type: 'ended', reason: 'replaced' });
    await until('asked', () => bff.requests.slice(before).includes('GET /bff/session?slide=false'), within);
    bff.tell({ type: 'refreshed' });
    await until('heard', () => heard.includes('refreshed'), within);
    expect(heard).toEqual(['signedIn', 'refreshed']);
  });

  test('finds what happened while it was away', async () => {
    const { client, heard } = openTab();
    await login(client);
    await connected();
    bff.isSignedIn = false;
    for (const res of bff.events) res.destroy();
    await until('heard', () => heard.includes('signedOut session_expired'), within);
    await until('given up', () => bff.events.size === 0, within);
  });

  test('comes back after an outage and keeps the user logged in meanwhile', async () => {
    const { client, heard } = openTab();
    await login(client);
    await connected();
    bff.answer = (_req, res) => problem(res, 503, 'store_unavailable');
    for (const res of bff.events) res.destroy();
    const before = bff.requests.length;
    await until('tried', () => bff.requests.length > before + 1, within);
    bff.answer = undefined;
    await until('back', () => bff.events.size === 1, within);
    expect(heard).toEqual(['signedIn']);
  });

  test('is not opened for a page that listens to nothing', async () => {
    const client = createGatewayClient();
    clients.push(client);
    await login(client);
    await client.session();
    expect(bff.requests.filter((line) => line.includes('/bff/events'))).toEqual([]);
  });

  test("is each tab's own where there are no locks and no channel", async () => {
    const hidden = ['BroadcastChannel', 'navigator'].map(
      (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
    );
    for (const [name] of hidden) Object.defineProperty(globalThis, name, { value: undefined, configurable: true });
    try {
      const [first, second] = [openTab(), openTab()];
      await login(first.client);
      await second.client.session();
      await connected(2, 3);
      bff.isSignedIn = false;
      bff.tell({ type: 'ended', reason: 'logout' });
      await until('heard', () => second.heard.includes('signedOut logout'), within);
    } finally {
      for (const [name, descriptor] of hidden) Object.defineProperty(globalThis, name, descriptor ?? {});
    }
  });
});

describe('a page that comes back', () => {
  test('by the back button asks whether the session still is, and shows nothing of one that has ended', () =>
    withPageEvents(async (tell) => {
      const { client, heard } = openTab();
      await login(client);
      await connected();
      tell('pagehide');
      await until('put aside', () => bff.events.size === 0, within);
      bff.isSignedIn = false;
      tell('pageshow');
      await until('heard', () => heard.includes('signedOut session_expired'), within);
    }));

  test('finds its connection again where the session goes on', () =>
    withPageEvents(async (tell) => {
      const { client, heard } = openTab();
      await login(client);
      await connected();
      tell('pagehide');
      await until('put aside', () => bff.events.size === 0, within);
      tell('pageshow');
      await connected(1, 4);
      expect(heard).toEqual(['signedIn']);
    }));

  test.each<[string, (client: GatewayClient, tell: (type: string) => void) => void]>([
    ['put aside', (_client, tell) => tell('pagehide')],
    ['closed', (client) => client.close()],
  ])('opens nothing while it is %s, when an answer comes that was still under way', (_how, end) =>
    withPageEvents(async (tell) => {
      const held: (() => void)[] = [];
      let asked = 0;
      bff.answer = (req, res) => {
        // The first is that of the login, the second that of the connection that has opened.
        if (req.url !== '/bff/session?slide=false' || ++asked === 1) return false;
        held.push(
          () => void res.writeHead(200, { 'Content-Type': 'application/json' }).end('{"user":{},"session":{}}'),
        );
        return true;
      };
      const { client } = openTab();
      await login(client);
      await until('asked', () => held.length === 1, within);
      end(client, tell);
      await until('let go', () => bff.events.size === 0, within);
      held[0]?.();
      await delay(200);
      expect(bff.requests.filter((line) => line === 'GET /bff/events')).toHaveLength(1);
    }),
  );

  test('asks anew when it is looked at after a while, also where nobody had been logged in', () =>
    withPageEvents(async (tell) => {
      const { client, heard } = openTab();
      expect(await client.session()).toBeUndefined();
      tell('visibilitychange');
      bff.isSignedIn = true;
      const now = performance.now.bind(performance);
      performance.now = () => now() + 31_000;
      try {
        tell('visibilitychange');
        await until('heard', () => heard.includes('signedIn'), within);
      } finally {
        performance.now = now;
      }
      expect(bff.requests.filter((line) => line.includes('slide=false')).length).toBeLessThanOrEqual(2);
    }));
});

describe('the stream', () => {
  async function openStream() {
    const { client, heard } = openTab();
    await login(client);
    const stream = client.stream({ query: { view: 'a b' } });
    const states: string[] = [];
    const messages: unknown[] = [];
    const ends: unknown[] = [];
    stream.on('state', (state) => states.push(state));
    stream.on('message', (message) => messages.push(message));
    stream.on('closed', (end) => ends.push(end));
    await until('open', () => stream.state === 'open', within);
    return { client, heard, stream, states, messages, ends };
  }
  const serverSide = () => [...bff.streams][0];

  test('sends and hears', async () => {
    const { stream, messages } = await openStream();
    expect(bff.requests).toContain('UPGRADE /stream?view=a+b');
    expect(stream.send({ action: 'echo', message: 'test' })).toBe(true);
    await until('heard', () => bff.heard.length === 1, within);
    serverSide()?.send('{"ev":"FMV"}');
    serverSide()?.send('not json');
    await until('heard', () => messages.length === 2, within);
    expect(messages).toEqual([{ ev: 'FMV' }, 'not json']);
  });

  test('comes back with its subscriptions, and only with those that are still wanted', async () => {
    const { stream, states } = await openStream();
    stream.subscribe('AAPL', { type: 'quote' });
    stream.subscribe('AAPL', { type: 'quote' });
    stream.subscribe('MSFT');
    stream.subscribe('NVDA');
    stream.unsubscribe('MSFT');
    await until('heard', () => bff.heard.length === 5, within);
    bff.heard.length = 0;
    serverSide()?.terminate();
    await until('back', () => bff.heard.length === 2, within);
    expect(bff.heard).toEqual([
      { action: 'subscribe', symbol: 'AAPL', type: 'quote' },
      { action: 'subscribe', symbol: 'NVDA' },
    ]);
    expect(states).toEqual(['open', 'waiting', 'connecting', 'open']);
  });

  test('ends for good with the session, and the page hears of it', async () => {
    const { stream, heard, ends } = await openStream();
    bff.isSignedIn = false;
    serverSide()?.close(4401, 'session ended');
    await until('over', () => stream.state === 'closed', within);
    expect(ends).toEqual([{ code: 4401, reason: 'session ended' }]);
    expect(heard.at(-1)).toBe('signedOut session_expired');
    expect(stream.send('late')).toBe(false);
    expect(bff.requests.filter((line) => line.startsWith('UPGRADE'))).toHaveLength(1);
  });

  test('ends for good where the session is found ended on the way back', async () => {
    const { stream, ends } = await openStream();
    bff.isSignedIn = false;
    serverSide()?.terminate();
    await until('over', () => stream.state === 'closed', within);
    expect(ends).toEqual([{ code: 4401, reason: '' }]);
  });

  /** Opens one, and tells it that the browser is online again instead of waiting for the end of its pauses. */
  async function openRefused(tell: (type: string) => void) {
    const { client } = openTab();
    await login(client);
    const stream = client.stream();
    const ends: unknown[] = [];
    stream.on('closed', (end) => ends.push(end));
    stream.on('state', (state) => {
      if (state === 'waiting') setImmediate(() => tell('online'));
    });
    return { client, stream, ends };
  }
  const tries = () => bff.requests.filter((line) => line.startsWith('UPGRADE')).length;

  test.each([
    ['upgrade', 'refused'],
    ['close', 'refused by upstream'],
  ] as const)('ends for good where this user is refused it ten times by %s', (refusal, reason) =>
    withPageEvents(async (tell) => {
      bff.refusal = refusal;
      const { stream, ends } = await openRefused(tell);
      await until('over', () => stream.state === 'closed', within);
      expect(ends).toEqual([{ code: 1008, reason }]);
      expect(tries()).toBe(10);
    }),
  );

  test('is tried for as long as an outage lasts, and opens after it', () =>
    withPageEvents(async (tell) => {
      bff.refusal = 'upgrade';
      const { client, stream, ends } = await openRefused(tell);
      bff.answer = (_req, res) => problem(res, 503, 'store_unavailable');
      await until('tried', () => tries() > 15, within);
      bff.answer = undefined;
      bff.refusal = undefined;
      await until('open', () => stream.state === 'open', within);
      expect(ends).toEqual([]);
      client.close();
    }));

  test('that has held is not refused for good', () =>
    withPageEvents(async (tell) => {
      const { client, stream, ends } = await openRefused(tell);
      await until('open', () => stream.state === 'open', within);
      const now = performance.now.bind(performance);
      performance.now = () => now() + 6_000;
      try {
        bff.refusal = 'upgrade';
        serverSide()?.terminate();
        await until('tried', () => tries() > 15, within);
      } finally {
        performance.now = now;
      }
      expect(ends).toEqual([]);
      client.close();
    }));

  test('takes no subscription without a symbol', async () => {
    const { stream } = await openStream();
    expect(() => stream.subscribe('')).toThrow('subscribe needs a symbol, such as AAPL or *.');
    expect(() => stream.subscribe(undefined as never)).toThrow(expect.objectContaining({ code: 'invalid_use' }));
    expect(bff.heard).toEqual([]);
  });

  test('ends where the page closes it, and stays so', async () => {
    const { stream, ends } = await openStream();
    stream.close();
    stream.close();
    expect(stream.state).toBe('closed');
    await until('gone', () => bff.streams.size === 0, within);
    expect(ends).toEqual([{ code: 1000, reason: 'closed by the page' }]);
  });
});

describe('a second try', () => {
  /** Refuses the first request of a method with these headers. */
  async function triesOf(method: string, status: number, headers: Record<string, string>): Promise<number> {
    const { client } = openTab();
    let tries = 0;
    bff.isSignedIn = true;
    bff.answer = (_req, res) => {
      tries += 1;
      return tries === 1 && problem(res, status, 'unavailable', headers);
    };
    await client.fetch('/delivery/x', { method }).catch((error: GatewayError) => expect(error.status).toBe(status));
    return tries;
  }

  test.each([
    ['GET', 503, { 'Retry-After': '1' }, 2],
    ['GET', 503, { 'Retry-After': '0' }, 2],
    ['GET', 503, {}, 1],
    ['GET', 503, { 'Retry-After': '60' }, 1],
    ['GET', 429, { 'Retry-After': '1' }, 1],
    ['GET', 502, { 'Retry-After': '1' }, 1],
    ['POST', 503, { 'Retry-After': '1' }, 1],
    ['DELETE', 503, { 'Retry-After': '0' }, 1],
  ] as const)('of %s after %i with %j: %i requests', async (method, status, headers, tries) => {
    expect(await triesOf(method, status, headers as Record<string, string>)).toBe(tries);
  });
});

test('a page that answers instead of the gateway is an unexpected answer', async () => {
  const { client } = openTab();
  bff.answer = (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Sign in to the hotel</h1>');
    return true;
  };
  const expected = { code: 'unexpected_answer', status: 200 };
  await expect(client.session()).rejects.toMatchObject(expected);
  // Above all, it is no logout.
  await expect(client.logout()).rejects.toMatchObject(expected);
  await expect(client.endSession('s1')).rejects.toMatchObject(expected);
});

test('a listener that throws keeps no other from hearing', async () => {
  const { client } = openTab();
  const thrown: unknown[] = [];
  const original = globalThis.queueMicrotask;
  globalThis.queueMicrotask = (callback) =>
    original(() => {
      try {
        callback();
      } catch (error) {
        thrown.push(error);
      }
    });
  try {
    const seen: string[] = [];
    client.on('signedIn', () => {
      throw new Error('mine');
    });
    const stop = client.on('signedIn', () => seen.push('first'));
    client.on('signedIn', () => seen.push('second'));
    stop();
    await login(client);
    expect(seen).toEqual(['second']);
    await until('told', () => thrown.some((error) => (error as Error).message === 'mine'), within);
  } finally {
    globalThis.queueMicrotask = original;
  }
});

test('an answer that breaks off is a loss of the network, not an unexpected answer', async () => {
  const { client } = openTab();
  bff.answer = (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '100' });
    res.write('{"user":', () => res.destroy());
    return true;
  };
  await expect(client.session()).rejects.toMatchObject({ code: 'network_error', status: 0 });
});
