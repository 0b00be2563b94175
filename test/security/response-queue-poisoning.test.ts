// Response queue poisoning: bytes that Finvera sends too many must never answer somebody else's request (RFC 9112 §6.3).
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { rawAnswer } from '../support/raw-upstream.ts';

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene();
});
afterAll(() => scene.close());

const POISON = rawAnswer('poison', ['X-Poison: 1']);
const answerTo = (target: string): string => rawAnswer(`answer to ${target}`);

/** Ten users' requests after the surplus, one after the other and then at once: each gets its own answer. */
async function expectOwnAnswers(): Promise<void> {
  const ask = async (target: string) => {
    const reply = await scene.browser.fetch(target);
    return [reply.status, reply.text, reply.headers['x-poison']];
  };
  const targets = Array.from({ length: 10 }, (_, i) => `/delivery/${i}`);
  for (const target of targets) expect(await ask(target)).toEqual([200, `answer to ${target}`, undefined]);
  const together = await Promise.all(targets.map(ask));
  expect(together).toEqual(targets.map((target) => [200, `answer to ${target}`, undefined]));
}

describe('surplus bytes of Finvera’s never answer the next request', () => {
  test.each([
    ['a second answer in the same write', (first: string) => first + POISON],
    ['two more answers', (first: string) => first + POISON + POISON],
    ['half an answer', (first: string) => first + POISON.slice(0, 20)],
    ['a body longer than announced', (first: string) => `${first}poison`],
    ['a body after 204', () => `HTTP/1.1 204 No Content\r\n\r\n${POISON}`],
    ['a body after 304', () => `HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison`],
    ['an answer after the last chunk', () => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${POISON}`],
  ])('%s', async (_what, bytes) => {
    let poisoned = false;
    scene.upstream.answerBy(({ target }) => {
      if (poisoned) return answerTo(target);
      poisoned = true;
      return bytes(answerTo(target));
    });
    expect((await scene.browser.fetch('/delivery/first')).text).not.toContain('poison');
    await expectOwnAnswers();
  });

  test('a body in the answer to HEAD', async () => {
    scene.upstream.answerBy(({ target, line }) => (line.startsWith('HEAD') ? POISON : answerTo(target)));
    expect((await scene.browser.fetch('/delivery/first', { method: 'HEAD' })).text).toBe('');
    await expectOwnAnswers();
  });

  test('a second answer a moment later, while nothing is asked on the connection', async () => {
    scene.upstream.answerBy(({ target }) => answerTo(target));
    await scene.browser.fetch('/delivery/first');
    scene.upstream.interject(POISON);
    await expectOwnAnswers();
  });

  test('a second answer a moment later, while others are asked', async () => {
    let asked = 0;
    scene.upstream.answerBy(({ target }) => (socket) => {
      socket.write(answerTo(target));
      asked += 1;
      if (asked % 3 === 0) setImmediate(() => socket.write(POISON));
    });
    const targets = Array.from({ length: 60 }, (_, i) => `/delivery/${i}`);
    const replies = await Promise.all(targets.map((target) => scene.browser.fetch(target)));
    for (const [i, reply] of replies.entries()) {
      expect([reply.status, reply.text, reply.headers['x-poison']]).toEqual([
        200,
        `answer to ${targets[i]}`,
        undefined,
      ]);
    }
    scene.upstream.answerBy(({ target }) => answerTo(target));
    await expectOwnAnswers();
  });

  test('an answer before anything is asked, on every new connection, shifts no later one', async () => {
    const early = await startRawScene();
    try {
      early.upstream.answerBy(({ target }) => answerTo(target));
      early.upstream.greet(POISON);
      for (let i = 0; i < 20; i += 1) {
        // What comes as the request leaves cannot be told from its answer; but it answers no other than this one.
        const { text } = await early.browser.fetch(`/delivery/${i}`, { method: 'POST' });
        expect(['poison', `answer to /delivery/${i}`]).toContain(text.startsWith('{') ? 'poison' : text);
      }
    } finally {
      await early.close();
    }
  });
});
