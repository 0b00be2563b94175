// Ten thousand requests, half of whose clients leave in the middle: afterwards no socket, timer or request may be left.
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createSimulator } from '../../simulator/simulator.ts';
import { inParallel } from '../../test/lab/load.ts';
import { residentBytes } from '../../test/support/process-usage.ts';
import { type GatewayUnderTest, startGateway } from '../contenders/this-gateway.ts';
import { forgeSessions } from '../forge.ts';
import { ACCESS_TOKEN, requestHead } from '../job.ts';
import { openFiles } from '../pinned.ts';
import { startStage } from '../stage.ts';
import { MB, type Part, type Section, table } from './part.ts';

const REQUESTS = 10_000;
const WARM_UP = 500;
const WIDTH = 200;
/** An answer in five pieces over this time; who leaves does so within it. */
const ANSWER_MS = 40;
const SLOW_PATH = `/delivery/api/v1/__slow?ms=${ANSWER_MS}&bytes=5000&chunks=5`;
/** Kept connections to the upstream end after five seconds without work, every timer of an exchange after sixty. */
const SETTLE_MS = 75_000;
const POLL_MS = 250;

export const aborts: Part = { name: 'aborts', run };

interface Held {
  readonly files: number;
  readonly inFlight: number;
  readonly handles: number;
  readonly timers: number;
}

async function run(): Promise<Section> {
  await using stack = new AsyncDisposableStack();
  const stage = await startStage();
  stack.defer(() => stage.end());
  const finvera = await createSimulator({ record: false, apiKey: ACCESS_TOKEN, keepAliveTimeoutMs: 5_000 });
  stack.defer(() => finvera.close());
  const gateway = await startGateway({ ...stage, upstreamPort: finvera.port });
  stack.defer(() => gateway.end());
  const [cookie = ''] = await forgeSessions(stage.redisUrl, 1);
  const text = `${requestHead(gateway.port, SLOW_PATH)}Cookie: ${cookie}\r\n\r\n`;
  const volley = (count: number) =>
    inParallel(Array.from({ length: count }), WIDTH, (_, i) =>
      converse(gateway.port, text, i % 2 === 0 ? undefined : Math.random() * ANSWER_MS),
    );

  const quiet = await heldBy(gateway);
  await volley(WARM_UP);
  const before = await untilSettled(gateway, quiet);
  const memoryBefore = residentBytes(gateway.pid);
  const outcomes = await volley(REQUESTS);
  const atOnce = await heldBy(gateway);
  const after = await untilSettled(gateway, before);
  const memoryAfter = residentBytes(gateway.pid);

  const violations = (Object.keys(after) as (keyof Held)[])
    .filter((what) => after[what] > before[what])
    .map((what) => `${what}: ${after[what]} after, ${before[what]} before`);
  const whole = outcomes.filter((outcome) => outcome === 'whole').length;
  if (whole < REQUESTS / 2) violations.push(`only ${whole} answers came whole of ${REQUESTS / 2} that were waited for`);
  const row = (label: string, held: Held, bytes: number) => [
    label,
    held.files,
    held.handles,
    held.timers,
    held.inFlight,
    bytes / MB,
  ];
  const head = ['', 'open files', 'active handles', 'active timers', 'requests in flight', 'resident MB'];
  return {
    title: 'Clients that leave',
    text: `${REQUESTS.toLocaleString('en-GB')} requests for an answer that takes ${ANSWER_MS} ms, each on a connection of its own, ${WIDTH} at a time; every second client leaves before it is whole.

${table(head, [row('before', before, memoryBefore), row('the moment after', atOnce, Number.NaN), row('once settled', after, memoryAfter)])}`,
    violations,
  };
}

/** @param leaveAfterMs undefined: waits for the whole answer. */
function converse(port: number, text: string, leaveAfterMs: number | undefined): Promise<'whole' | 'left' | 'broken'> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    const timer =
      leaveAfterMs === undefined
        ? undefined
        : setTimeout(() => {
            socket.resetAndDestroy();
            resolve('left');
          }, leaveAfterMs);
    const end = (outcome: 'whole' | 'broken') => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    socket.once('error', () => end('broken'));
    socket.once('close', () => end('broken'));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      const bodyAt = received.indexOf('\r\n\r\n') + 4;
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received)?.[1]);
      if (bodyAt >= 4 && received.length >= bodyAt + length)
        end(received.startsWith('HTTP/1.1 200') ? 'whole' : 'broken');
    });
    socket.write(text);
  });
}

async function heldBy({ managementPort, pid }: GatewayUnderTest): Promise<Held> {
  // The look itself must leave nothing open.
  const answer = await fetch(`http://127.0.0.1:${managementPort}/metrics`, { headers: { connection: 'close' } });
  const text = await answer.text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    files: openFiles(pid),
    inFlight: value('finvera_gateway_in_flight'),
    handles: value('nodejs_active_handles_total'),
    timers: value('nodejs_active_resources\\{type="Timeout"\\}'),
  };
}

async function untilSettled(gateway: GatewayUnderTest, goal: Held): Promise<Held> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    await delay(POLL_MS);
    const held = await heldBy(gateway);
    const isSettled = (Object.keys(goal) as (keyof Held)[]).every((what) => held[what] <= goal[what]);
    if (isSettled || performance.now() > deadline) return held;
  }
}
