// What a request's head looks like, and what cannot be sent: whoever calls the client, no value becomes a field of its own.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { requestHead } from '../../../src/http-client/request-head.ts';
import { PROPERTY_TIMEOUT_MS, thorough } from '../../support/properties.ts';

const PARTS = { method: 'GET', path: '/a?b', host: 'h:1', fields: [], bodyLength: 0 } as const;

describe('a head', () => {
  test.each([
    ['of a request without a body', {}, 'GET /a?b HTTP/1.1\r\nHost: h:1\r\n\r\n'],
    [
      'with fields as they are',
      { fields: ['X-a', ' b\t\xff', 'x-A', ''] },
      'GET /a?b HTTP/1.1\r\nHost: h:1\r\nX-a:  b\t\xff\r\nx-A: \r\n\r\n',
    ],
    [
      'says that a POST has no body',
      { method: 'POST' },
      'POST /a?b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n',
    ],
    [
      'says how long a body is',
      { method: 'PUT', bodyLength: 3 },
      'PUT /a?b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\n',
    ],
    [
      'says it once',
      { method: 'PUT', bodyLength: 3, fields: ['content-length', '3'] },
      'PUT /a?b HTTP/1.1\r\nHost: h:1\r\ncontent-length: 3\r\n\r\n',
    ],
    [
      'says that a body comes in chunks',
      { method: 'GET', bodyLength: undefined },
      'GET /a?b HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n\r\n',
    ],
  ])('%s', (_what, parts, text) => {
    expect(requestHead({ ...PARTS, ...parts })).toBe(text);
  });

  test('remembers names within bounds', () => {
    for (let i = 0; i < 3_000; i += 1)
      expect(requestHead({ ...PARTS, fields: [`x-${i}`, 'y'] })).toContain(`x-${i}: y`);
  });
});

test.each(['\r', '\n', '\r\nX: y', '\0', '\x7f', '\x1b[0m', '\u010a', '\u{1f600}'])(
  'a value that would begin another field is refused: %j',
  (value) => {
    expect(() => requestHead({ ...PARTS, fields: ['X', `a${value}b`] })).toThrow(/^The value of X cannot be sent\.$/);
  },
);

test.each(['', 'a b', 'a:', 'a\r\nb', 'ä', '(a)'])('a name that is none is refused: %j', (name) => {
  expect(() => requestHead({ ...PARTS, fields: [name, 'x'] })).toThrow(TypeError);
});

test.each([
  ['a path', { path: 'a' }],
  ['a path with a blank', { path: '/a b' }],
  ['a path with a line break', { path: '/a\r\nX: y' }],
  ['a path beyond Latin-1', { path: '/\u0120' }],
  ['a method', { method: 'GET /x HTTP/1.1\r\nX: ' }],
  ['a method in small letters', { method: 'get' }],
])('%s that is none is refused', (_what, parts) => {
  expect(() => requestHead({ ...PARTS, ...parts })).toThrow(TypeError);
});

test.each([
  ['another length', { bodyLength: 3, fields: ['Content-Length', '4'] }],
  ['a length of what has none', { bodyLength: undefined, fields: ['Content-Length', '4'] }],
  ['a length twice', { bodyLength: 3, fields: ['Content-Length', '3', 'Content-Length', '3'] }],
  ['a coding', { bodyLength: undefined, fields: ['Transfer-Encoding', 'chunked'] }],
  ['another host', { fields: ['HOST', 'evil'] }],
])('framing that is not that of the body is refused: %s', (_what, parts) => {
  expect(() => requestHead({ ...PARTS, ...parts })).toThrow('The framing of the body is not what is sent.');
});

test(
  'whatever is asked for, a head has a line for each field and no more',
  () => {
    const text = fc.string({
      maxLength: 8,
      unit: fc.constantFrom('a', ':', ' ', '\r', '\n', '\0', '\u010d', '\u010a', '\xff'),
    });
    thorough.holds(text, fc.array(fc.tuple(text, text), { maxLength: 3 }), (path, pairs) => {
      let head: string;
      try {
        head = requestHead({ ...PARTS, path: `/${path}`, fields: pairs.flat() });
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
        return;
      }
      const sent = Buffer.from(head, 'latin1').toString('latin1');
      expect(sent).toBe(head);
      expect(sent.split(/\r\n|\r|\n/)).toHaveLength(2 + pairs.length + 2);
    });
  },
  PROPERTY_TIMEOUT_MS,
);
