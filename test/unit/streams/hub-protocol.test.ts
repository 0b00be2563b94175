import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isOfKind, readClientMessage, readUpstreamMessage, writeUpstream } from '../../../src/streams/hub-protocol.ts';
import { PROPERTY_TIMEOUT_MS, property } from '../../support/properties.ts';

const FIELDS = ['symbol', 'sym'];
const read = (message: unknown) => readUpstreamMessage(JSON.stringify(message), FIELDS);

describe('what a browser says', () => {
  test.each([
    [{ action: 'subscribe', symbol: 'AAPL' }, [{ symbol: 'AAPL', kind: '', form: 'type' }]],
    [{ action: 'subscribe', symbol: '*', type: 'quote' }, [{ symbol: '*', kind: 'quote', form: 'type' }]],
    [
      { action: 'unsubscribe', params: 'FMV.BRK.B, BRK.B' },
      [
        { symbol: 'BRK.B', kind: 'FMV', form: 'event' },
        { symbol: 'BRK.B', kind: '', form: 'event' },
      ],
    ],
    [{ action: 'subscribe', params: ['FMV.*'] }, [{ symbol: '*', kind: 'FMV', form: 'event' }]],
  ])('%j names its topics', (message, topics) => {
    expect(readClientMessage(JSON.stringify(message))).toMatchObject({ kind: message.action, topics });
  });

  test.each(['list', 'subscribed', 'ping', 'echo'])('%s is understood', (action) => {
    expect(readClientMessage(JSON.stringify({ action, data: 1 })).kind).toBe(action);
  });

  test.each([
    'nonsense',
    'null',
    '[]',
    '{}',
    '{"action":"auth"}',
    '{"action":"subscribe"}',
    '{"action":"subscribe","symbol":""}',
    '{"action":"subscribe","symbol":1}',
    '{"action":"subscribe","symbol":"A\\nB"}',
    `{"action":"subscribe","symbol":"${'A'.repeat(65)}"}`,
    '{"action":"subscribe","symbol":"A","type":{}}',
    '{"action":"unsubscribe","symbol":"AAPL,MSFT"}',
    '{"action":"unsubscribe","symbol":" AAPL"}',
    '{"action":"unsubscribe","symbol":"AAPL "}',
    '{"action":"unsubscribe","symbol":"AAPL","type":"a,b"}',
    '{"action":"unsubscribe","params":["AAPL,MSFT"]}',
    '{"action":"subscribe","params":",A"}',
    '{"action":"subscribe","params":[1]}',
    JSON.stringify({ action: 'subscribe', params: Array(201).fill('A') }),
  ])('%s is invalid', (text) => {
    expect(readClientMessage(text).kind).toBe('invalid');
  });

  test(
    'any text at all is read without an error, and what it subscribes to comes back the same from what the upstream is told',
    () => {
      property.holds(fc.string(), fc.option(fc.string(), { nil: undefined }), (symbol, type) => {
        readClientMessage(symbol);
        const request = readClientMessage(JSON.stringify({ action: 'subscribe', symbol, type }));
        if (request.kind !== 'subscribe') return;
        const [topic] = request.topics;
        if (topic) expect(readClientMessage(writeUpstream('subscribe', topic))).toMatchObject({ topics: [topic] });
      });
    },
    PROPERTY_TIMEOUT_MS,
  );
});

describe('what the upstream says', () => {
  test.each([
    [
      { symbol: 'AAPL', type: 'quote' },
      { symbols: ['AAPL'], type: 'quote', event: undefined },
    ],
    [
      { ev: 'FMV', sym: 'AAPL' },
      { symbols: ['AAPL'], type: undefined, event: 'FMV' },
    ],
    [{ symbol: ['AAPL', 'MSFT'] }, { symbols: ['AAPL', 'MSFT'], type: undefined, event: undefined }],
    [
      { symbol: '', sym: 'MSFT' },
      { symbols: ['MSFT'], type: undefined, event: undefined },
    ],
  ])('%j is data', (message, about) => {
    expect(read(message)).toEqual({ kind: 'data', about });
  });

  test.each([
    [{ action: 'subscribe', symbol: 'AAPL', status: 'ok' }, 'answer'],
    [{ status: 'subscribed', symbol: 'AAPL' }, 'answer'],
    [{ action: 'pong' }, 'answer'],
    [{ action: 'list', symbols: ['AAPL'] }, 'list'],
    [{ securities: [] }, 'list'],
    [['AAPL', 'MSFT'], 'list'],
    [[{ symbol: 'AAPL', name: 'Apple' }], 'list'],
    [{ error: { code: 400 } }, 'error'],
    [{ heartbeat: 1 }, 'no_symbol'],
    [{ symbol: 7 }, 'no_symbol'],
    [[{ ev: 'status' }], 'no_symbol'],
    ['text', 'malformed'],
    [null, 'malformed'],
  ])('%j is %s', (message, kind) => {
    expect(read(message).kind).toBe(kind);
  });

  test('no JSON is malformed', () => {
    expect(readUpstreamMessage('{"half":', FIELDS).kind).toBe('malformed');
  });

  test('several at once are told apart, each in an array of its own', () => {
    const apple = { ev: 'FMV', sym: 'AAPL', fmv: 1 };
    expect(read([apple, { ev: 'status' }, { ev: 'FMV', sym: 'MSFT' }])).toMatchObject({
      kind: 'batch',
      elements: [{ about: { symbols: ['AAPL'] }, text: JSON.stringify([apple]) }, { about: { symbols: ['MSFT'] } }],
    });
  });
});

test.each([
  ['', 'type', 'quote', undefined, true],
  ['', 'type', undefined, 'FMV', true],
  ['quote', 'type', 'quote', undefined, true],
  ['quote', 'type', 'news', undefined, false],
  ['quote', 'type', undefined, undefined, true],
  ['', 'event', undefined, 'FMV', true],
  ['FMV', 'event', undefined, 'FMV', true],
  ['FMV', 'event', undefined, 'T', false],
  ['', 'event', 'quote', undefined, false],
] as const)('a subscription of kind "%s" by %s brings type %s, event %s: %s', (kind, form, type, event, brings) => {
  expect(isOfKind({ kind, form }, { symbols: ['A'], type, event })).toBe(brings);
});
