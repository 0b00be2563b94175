import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { hasBody, MAX_REPLAY_BYTES, takeRequestBody } from '../../../src/forwarding/request-body.ts';

afterEach(() => {
  jest.useRealTimers();
});

/** A request whose body a test writes. */
function requestWith(headers: Record<string, string> = {}) {
  return Object.assign(new PassThrough(), { headers }) as PassThrough & IncomingMessage;
}
const OPTIONS = { maxBytes: 1_000_000, idleTimeoutMs: 10_000 };
const failureOf = (stream: NodeJS.ReadableStream) =>
  new Promise<{ kind?: string }>((resolve) => stream.once('error', resolve));

describe('hasBody', () => {
  test.each<[Record<string, string>, boolean]>([
    [{ 'content-length': '5' }, true],
    [{ 'content-length': '0' }, false],
    [{ 'transfer-encoding': 'chunked' }, true],
    [{}, false],
  ])('with %j: %s', (headers, expected) => {
    expect(hasBody(requestWith(headers))).toBe(expected);
  });
});

describe('takeRequestBody', () => {
  test('passes the body byte for byte, and remembers it once it has ended', async () => {
    const req = requestWith({ 'content-length': '4' });
    const body = takeRequestBody(req, OPTIONS);
    expect(body.length).toBe(4);
    req.write(Buffer.from([0, 255]));
    expect(body.replay()).toBeUndefined();
    req.end(Buffer.from([10, 13]));
    expect(await buffer(body.stream)).toEqual(Buffer.from([0, 255, 10, 13]));
    expect(body.replay()).toEqual(Buffer.from([0, 255, 10, 13]));
  });

  test.each([
    [MAX_REPLAY_BYTES, true],
    [MAX_REPLAY_BYTES + 1, false],
  ])('remembers a body of %i bytes: %s', async (bytes, isRemembered) => {
    const req = requestWith({ 'transfer-encoding': 'chunked' });
    const body = takeRequestBody(req, OPTIONS);
    req.write(Buffer.alloc(bytes - 1));
    req.end(Buffer.alloc(1));
    expect(await buffer(body.stream)).toHaveLength(bytes);
    expect(body.replay()?.length).toBe(isRemembered ? bytes : undefined);
    expect(body.length).toBeUndefined();
  });

  test('refuses an announced length over the limit at once', () => {
    const req = requestWith({ 'content-length': '11' });
    expect(() => takeRequestBody(req, { ...OPTIONS, maxBytes: 10 })).toThrow(
      expect.objectContaining({ kind: 'body_too_large' }),
    );
    expect(() =>
      takeRequestBody(requestWith({ 'content-length': '10' }), { ...OPTIONS, maxBytes: 10 }).stream.destroy(),
    ).not.toThrow();
  });

  test('breaks off a body that grows over the limit, and lets one at the limit pass', async () => {
    const large = requestWith();
    const failed = failureOf(takeRequestBody(large, { ...OPTIONS, maxBytes: 10 }).stream);
    large.end(Buffer.alloc(11));
    expect(await failed).toMatchObject({ kind: 'body_too_large' });

    const whole = requestWith();
    const body = takeRequestBody(whole, { ...OPTIONS, maxBytes: 10 });
    whole.end(Buffer.alloc(10));
    expect(await buffer(body.stream)).toHaveLength(10);
  });

  test('gives up on a client that sends nothing for too long, and not on one that goes on', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
    const req = requestWith();
    const { stream } = takeRequestBody(req, OPTIONS);
    stream.resume();
    const failed = failureOf(stream);
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 3; i += 1) {
      jest.advanceTimersByTime(9_999);
      req.write('x');
      await settle();
    }
    expect(stream.destroyed).toBe(false);
    jest.advanceTimersByTime(10_000);
    expect(await failed).toMatchObject({ kind: 'request_timeout' });
  });

  test('tells an upstream that does not read from a client that does not send', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
    const req = requestWith();
    const { stream } = takeRequestBody(req, OPTIONS);
    const failed = failureOf(stream);
    req.write(Buffer.alloc(500_000));
    req.write(Buffer.alloc(100_000));
    await new Promise((resolve) => setImmediate(resolve));
    jest.advanceTimersByTime(10_000);
    expect(await failed).toMatchObject({ kind: 'upstream_timeout' });
  });

  test('waits for nothing any more once the body has ended', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
    const req = requestWith();
    const body = takeRequestBody(req, OPTIONS);
    req.end('x');
    await buffer(body.stream);
    expect(jest.getTimerCount()).toBe(0);
  });

  test('fails with the client’s own error', async () => {
    const req = requestWith();
    const failed = failureOf(takeRequestBody(req, OPTIONS).stream);
    const cause = new Error('aborted');
    req.destroy(cause);
    expect(await failed).toBe(cause);
  });

  test('asks for the body when it is taken', () => {
    let asked = 0;
    const onWanted = () => {
      asked += 1;
    };
    takeRequestBody(requestWith(), { ...OPTIONS, onWanted }).stream.destroy();
    expect(asked).toBe(1);
  });
});
