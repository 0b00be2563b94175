import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { STREAMS } from '../../../src/config/stream-schema.ts';
import { loadWith, problemsOf, settingsOf } from './load-with.ts';

const OVERLAY = { GATEWAY_CONFIG: '/etc/gateway.yaml' };
const streamsIn = (streams: unknown) => ({ '/etc/gateway.yaml': JSON.stringify({ streams }) });

describe('streams', () => {
  test('have defaults for all', () => {
    expect(STREAMS.parse([])).toEqual({
      values: {
        mode: 'tunnel',
        credential: 'session',
        allowedTiers: 'all',
        maxMessageBytes: 1_048_576,
        maxPerSession: 20,
        maxBufferedBytes: 4_194_304,
        stallTimeout: 10_000,
        heartbeat: 30_000,
        handshakeTimeout: 10_000,
        symbolFields: ['symbol', 'sym'],
      },
      problems: [],
    });
  });

  test('are merged key by key over the shipped ones', () => {
    const files = {
      '/shipped.yaml': 'streams: {maxPerSession: 3, heartbeat: 5s}',
      '/etc/gateway.yaml': 'streams: {maxPerSession: 4, allowedTiers: [enterprise, standard]}',
    };
    expect(settingsOf(OVERLAY, files).streams).toMatchObject({
      maxPerSession: 4,
      heartbeat: 5_000,
      allowedTiers: ['enterprise', 'standard'],
      mode: 'tunnel',
    });
  });

  test.each([
    [[], /^streams must be a mapping/],
    ['tunnel', /^streams must be a mapping/],
    [{ mode: 'pipe' }, /^streams\.mode must be one of tunnel, hub/],
    [{ maxPersession: 1 }, /^streams has an unknown key maxPersession\. Did you mean maxPerSession\?/],
    [{ constructor: 1 }, /^streams has an unknown key constructor\. There are mode,/],
    [{ maxPerSession: 0 }, /^streams\.maxPerSession must be a whole number/],
    [{ maxMessageBytes: '1 mb' }, /^streams\.maxMessageBytes must be a size/],
    [{ heartbeat: null }, /^streams\.heartbeat has no value/],
    [{ heartbeat: 30 }, /^streams\.heartbeat must be a duration/],
    [{ allowedTiers: [] }, /^streams\.allowedTiers must be all, or name at least one/],
    [{ allowedTiers: 'enterprise' }, /^streams\.allowedTiers must be all, or a list/],
    [{ allowedTiers: [1] }, /^streams\.allowedTiers /],
    [{ symbolFields: 'symbol' }, /^streams\.symbolFields must be a list/],
    [{ symbolFields: ['a b'] }, /^streams\.symbolFields must be names of fields/],
  ])('%j are a problem that names the key and the file', (streams, problem) => {
    const problems = problemsOf(OVERLAY, streamsIn(streams));
    expect(problems).toEqual([expect.stringMatching(problem)]);
    expect(problems[0]).toMatch(/ \(in \/etc\/gateway\.yaml\)$/);
  });

  test('need the key where it is their credential, and it alone serves a hub', () => {
    const key = { FINVERA_API_KEY: 'k' };
    expect(problemsOf(OVERLAY, streamsIn({ credential: 'api-key' }))).toEqual([
      'FINVERA_API_KEY is required by streams (credential: api-key), or FINVERA_API_KEY_FILE',
    ]);
    expect(problemsOf({ ...OVERLAY, ...key }, streamsIn({ mode: 'hub' }))).toEqual([
      'streams.mode: hub needs streams.credential: api-key: one connection serves all users',
    ]);
    expect(loadWith({ ...OVERLAY, ...key }, streamsIn({ mode: 'hub', credential: 'api-key' })).kind).toBe('ok');
  });
});

describe('config/gateway.yaml', () => {
  const text = readFileSync(fileURLToPath(new URL('../../../config/gateway.yaml', import.meta.url)), 'utf8');
  const { streams } = parse(text) as { streams: Record<string, unknown> };

  test('sets every key of streams to its default, in the order of the table', () => {
    expect(Object.keys(streams)).toEqual([...STREAMS.names]);
    expect(STREAMS.parse([streams])).toEqual(STREAMS.parse([]));
  });

  test.each([...STREAMS.names])('describes streams.%s as the table does', (name) => {
    const comments = text.replace(/\n +# /g, (line) => (line.startsWith('\n  # ') ? ' ' : line));
    expect(comments).toContain(STREAMS.setting(name).meaning);
  });
});
