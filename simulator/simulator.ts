// The simulated Finvera as a whole: puts its parts together behind one listener. Reads no command line.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Answer, sendAnswer } from './answer.ts';
import { login, refresh, unauthorized, validate } from './auth-calls.ts';
import { answerControl, CONTROL_PREFIX } from './control.ts';
import { answerData, identify, notFound } from './data-calls.ts';
import { type ExchangeParts, serve } from './exchange.ts';
import { type ActiveFault, createFaultBox, type FaultSpec } from './faults.ts';
import { type Counters, createJournal, type RecordedRequest } from './journal.ts';
import { createRateLimiter } from './rate-limit.ts';
import { type Call, EMPTY_BODY, type Received, readBody, receive } from './received.ts';
import {
  checkSettings,
  DEFAULT_SETTINGS,
  InvalidInput,
  type SimulatorOptions,
  type SimulatorSettings,
} from './settings.ts';
import { createStreamEndpoint, type DropSpec, type OpenStream, type PushSpec } from './stream.ts';
import { createTokenRegistry, type RevokedCount } from './tokens.ts';
import { serveUpgrade, type UpgradeParts } from './upgrade.ts';
import { createUserDirectory, DEFAULT_USERS } from './users.ts';

/** What can be done to a running simulator; the same as the calls below `/__sim/`. */
export interface SimulatorControls {
  /** @throws InvalidInput naming what is wrong with the fault. */
  addFault(spec: FaultSpec): ActiveFault;
  faults(): ActiveFault[];
  /** Ends every fault; requests that a `hold` keeps go on. */
  clearFaults(): void;
  /** What was received since the last reset, in order of arrival. */
  requests(call?: Call): RecordedRequest[];
  counters(): Counters;
  /** Revokes tokens of one user, or of everyone. */
  revoke(what: 'access' | 'refresh' | 'all', email?: string): RevokedCount;
  /**
   * Changes settings from now on; tokens already issued keep their life.
   * @returns the settings now in force.
   * @throws InvalidInput naming each bad setting.
   */
  configure(changes: Partial<SimulatorSettings>): Readonly<SimulatorSettings>;
  /** Moves the simulator's clock: token expiry and rate windows, not latencies. */
  advanceClock(ms: number): void;
  /** The simulator's clock, in milliseconds since 1970. */
  now(): number;
  /** The open streams, what they subscribed to and what they said. */
  streams(): OpenStream[];
  /**
   * Sends something by hand, well-formed or not; answers how many streams got it.
   * @throws InvalidInput naming what is wrong.
   */
  push(spec: PushSpec): number;
  /**
   * Ends every open stream, by default without a closing handshake; answers how many.
   * @throws InvalidInput naming what is wrong.
   */
  dropStreams(spec?: DropSpec): number;
  /** Starts over: settings, clock, tokens, faults, requests, counters, streams. Requests that still wait end without an answer. */
  reset(): void;
}

/** A running simulator. */
export interface Simulator extends SimulatorControls {
  /** `http://host:port`, no slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Resolves when this many requests of a call have arrived since the last reset; rejects after `timeoutMs` (default 5000). */
  waitForRequests(call: Call, count: number, timeoutMs?: number): Promise<void>;
  /** Sends a message to the streams subscribed to a symbol; answers how many got it. */
  publish(symbol: string, message: unknown): number;
  /** How many streams are open. */
  openStreams(): number;
  /** Every symbol that streams know, in a fixed order. */
  symbols(): readonly string[];
  /** The latest `seq` of each symbol's quotes. */
  quotesMade(): ReadonlyMap<string, number>;
  /** Ends every connection at once and stops listening. Safe to call again. */
  close(): Promise<void>;
}

/** The parts behind the listener. */
interface Core extends UpgradeParts {
  readonly exchange: ExchangeParts;
  readonly controls: SimulatorControls;
  /** Ends what still waits. */
  readonly end: () => void;
}

/**
 * Starts a simulator.
 * @throws InvalidInput naming each bad option; the listener's error where the port is taken.
 */
export async function createSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const core = createCore(options);
  const server = createServer({
    maxHeaderSize: 65_536,
    // Any other Upgrade is ignored and the request answered, as RFC 9110 §7.8 allows.
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
  });
  const sockets = new Set<Socket>();
  server.keepAliveTimeout = options.keepAliveTimeoutMs ?? 60_000;
  server.requestTimeout = 0;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => onRequest(request, response, core));
  server.on('upgrade', (request, socket, head) => serveUpgrade(receive(request), socket as Socket, head, core));
  const host = options.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    ...core.controls,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    waitForRequests: (call, count, timeoutMs = 5000) => core.exchange.journal.waitFor(call, count, timeoutMs),
    publish: (symbol, message) => core.stream.publish(symbol, message),
    openStreams: () => core.stream.count(),
    symbols: core.stream.source.symbols,
    quotesMade: core.stream.source.quotesMade,
    close() {
      core.end();
      server.close();
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}

function createCore(options: SimulatorOptions): Core {
  const initial = { ...DEFAULT_SETTINGS, ...checkSettings(settingsIn(options)) };
  const settings: SimulatorSettings = { ...initial };
  const clock = createShiftableClock(options.now ?? Date.now);
  const users = createUserDirectory(options.users ?? DEFAULT_USERS, settings);
  const tokens = createTokenRegistry(settings, clock.now);
  const limiter = createRateLimiter(clock.now);
  const journal = createJournal(options.journalSize ?? 50_000, options.record ?? true, clock.now);
  const faults = createFaultBox();
  const stream = createStreamEndpoint(settings, clock.now);
  const data = { settings, tokens, limiter };
  let waiting = new AbortController();

  function end(): void {
    waiting.abort();
    waiting = new AbortController();
    stream.clear();
  }

  function reset(): void {
    end();
    Object.assign(settings, initial);
    for (const part of [clock, faults, tokens, limiter, journal]) part.clear();
  }

  return {
    exchange: {
      journal,
      faults,
      answer: createAnswerer({ settings, users, tokens }, data),
      ended: () => waiting.signal,
    },
    controls: {
      addFault: (spec) => faults.add(spec),
      faults: () => faults.list(),
      clearFaults: () => faults.clear(),
      requests: (call) => journal.requests(call),
      counters: () => journal.counters(),
      revoke: (what, email) => tokens.revoke(what, email),
      configure: (changes) => ({ ...Object.assign(settings, checkSettings(changes)) }),
      advanceClock: clock.advance,
      now: clock.now,
      streams: stream.list,
      push: stream.push,
      dropStreams: stream.drop,
      reset,
    },
    stream,
    end,
    refusal: (received) => refusalOf(received, data),
  };
}

function refusalOf(received: Received, data: Parameters<typeof identify>[1]): Answer | undefined {
  if (received.path !== '/') return notFound(received);
  const { streamCredential } = data.settings;
  const hasKey = new URLSearchParams(received.query).has('apikey');
  if (streamCredential === 'apikey' && !hasKey) return unauthorized('API key required');
  if (streamCredential === 'bearer' && hasKey) return unauthorized('Access token required');
  const caller = identify(received, data);
  return 'status' in caller ? caller : undefined;
}

function createShiftableClock(clock: () => number) {
  let advancedMs = 0;
  return {
    now: () => clock() + advancedMs,
    advance(ms: number): void {
      advancedMs += ms;
    },
    clear(): void {
      advancedMs = 0;
    },
  };
}

function createAnswerer(auth: Parameters<typeof login>[1], data: Parameters<typeof answerData>[1]) {
  return (received: Received): Answer => {
    switch (received.call) {
      case 'data':
        return answerData(received, data);
      case 'token':
        return login(received, auth);
      case 'refresh':
        return refresh(received, auth);
      case 'validate':
        return validate(received, auth);
      default:
        return notFound(received);
    }
  };
}

function settingsIn({
  port,
  host,
  users,
  record,
  journalSize,
  keepAliveTimeoutMs,
  now,
  ...settings
}: SimulatorOptions) {
  const isPort = port === undefined || (Number.isInteger(port) && port >= 0 && port <= 65_535);
  if (!isPort) throw new InvalidInput('port: 0 to 65535');
  return settings;
}

async function onRequest(request: IncomingMessage, response: ServerResponse, core: Core): Promise<void> {
  const received = receive(request);
  try {
    if (received.path.startsWith(CONTROL_PREFIX)) await control(received, response, core);
    else await serve(received, response, core.exchange);
  } catch (error) {
    // Only a mistake in the simulator or its settings gets here: a broken connection shows it, a crash would hide the rest.
    console.error(error);
    request.socket.destroy();
  }
}

async function control(received: Received, response: ServerResponse, core: Core): Promise<void> {
  received.body = (await readBody(received.request, false)) ?? EMPTY_BODY;
  await sendAnswer(response, answerControl(received, core.controls));
}
