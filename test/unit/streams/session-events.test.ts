// The answer of /bff/events by itself: its heartbeat, a reader that takes nothing, and what comes after the close.
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { newSessionId } from '../../../src/session/session-id.ts';
import { createSessionEvents, type SessionEvents } from '../../../src/streams/session-events.ts';
import type { SessionListener, SessionWatch } from '../../../src/streams/session-watch.ts';
import { storedSession } from '../../support/session-fixtures.ts';
import { until } from '../../support/until.ts';

const servers: Server[] = [];
const clients: Socket[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

interface Scene {
  readonly events: SessionEvents;
  readonly client: Socket;
  readonly answer: ServerResponse;
  readonly listener: SessionListener;
  readonly left: () => number;
  readonly stopped: () => number;
  text(): string;
}

async function startScene(heartbeatMs: number, isClosed = false): Promise<Scene> {
  let listener: SessionListener | undefined;
  let answer: ServerResponse | undefined;
  let left = 0;
  let stopped = 0;
  const watch: SessionWatch = {
    watch(_session, heard) {
      listener = heard;
      return {
        noteActivity() {},
        expiring: () => undefined,
        stop: () => {
          stopped += 1;
        },
      };
    },
    gaps: 0,
    size: 0,
    close() {},
  };
  const events = createSessionEvents({ watch, maxPerSession: 1, heartbeatMs });
  if (isClosed) events.close();
  const session = { ...storedSession(0), id: newSessionId(), seenWrittenAt: 0 };
  const server = createServer((_req, res) => {
    answer = res;
    res.writeHead(200, { Connection: 'close' });
    events.open(res, {
      session,
      lastVersion: undefined,
      leave: () => {
        left += 1;
      },
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  clients.push(client);
  let text = '';
  client.on('data', (chunk) => {
    text += String(chunk);
  });
  client.on('error', () => undefined);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until('the answer', () => answer !== undefined);
  return {
    events,
    client,
    answer: answer as unknown as ServerResponse,
    listener: listener as unknown as SessionListener,
    left: () => left,
    stopped: () => stopped,
    text: () => text,
  };
}

test('a comment comes again and again while nothing happens', async () => {
  const { text, events } = await startScene(20);
  await until('three of them', () => text().split('\n:\n\n').length > 3);
  expect(events.size).toBe(1);
});

/** Writes until neither side's kernel takes more: nobody here counts what those hold. Less than 16 KB waits then. */
async function fillKernels(answer: ServerResponse): Promise<void> {
  const piece = 'x'.repeat(4 * 1024);
  for (let quiet = 0; quiet < 5; quiet += 1) {
    for (; answer.writableLength === 0; quiet = 0) {
      answer.write(piece);
      await new Promise(setImmediate);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test('a reader that takes nothing is let go once too much waits, and gives its place back once', async () => {
  const { events, client, answer, listener, left, stopped } = await startScene(60_000);
  client.pause();
  await fillKernels(answer);
  for (let version = 2; !answer.destroyed && version < 2_000; version += 1) {
    expect(answer.writableLength).toBeLessThan(20 * 1024);
    listener.refreshed?.(version);
  }
  await until('the place', () => left() === 1);
  expect([events.size, left(), stopped()]).toEqual([0, 1, 1]);
});

test('a reader that has taken nothing since the last heartbeat is let go', async () => {
  const { events, client, answer, left, stopped } = await startScene(1_000);
  client.pause();
  await fillKernels(answer);
  await until('the place', () => left() === 1);
  expect([events.size, left(), stopped()]).toEqual([0, 1, 1]);
});

test('one that comes after the close is told when to come back, and ended', async () => {
  const { client, text, left } = await startScene(60_000, true);
  await until('the end', () => client.readableEnded);
  expect(text()).toContain('retry: 1000\n');
  expect(text()).not.toContain('data:');
  await until('the place', () => left() === 1);
});
