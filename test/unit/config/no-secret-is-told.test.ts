import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { definitionOf, SETTING_NAMES } from '../../../src/config/schema.ts';
import { KEY, loadWith } from './load-with.ts';

const CANARY = 'canary-7f3a9b';
const VARIABLES = SETTING_NAMES.map((name) => definitionOf(name).variable);
const SECRETS = SETTING_NAMES.filter((name) => definitionOf(name).secret).map((name) => definitionOf(name).variable);

/** Ways in which a secret gets to where it does not belong. */
const WRITTEN = [
  CANARY,
  `https://user:${CANARY}@host.example`,
  `redis://:${CANARY}@host?x`,
  `k1:${CANARY}`,
  `a: ${CANARY}\n b: [`,
  `5s ${CANARY}`,
];
/** All that a start would print. Only origins, route paths and file paths are repeated there, and none holds a secret. */
const outputOf = (env: Record<string, string>, files = {}) => {
  const loaded = loadWith(env, files);
  return loaded.kind === 'ok' ? loaded.warnings.join('\n') : [...loaded.problems, ...loaded.warnings].join('\n');
};

describe('no problem and no warning tells a value', () => {
  test.each(VARIABLES)('of %s', (variable) => {
    for (const production of ['production', 'test']) {
      for (const text of WRITTEN) expect(outputOf({ NODE_ENV: production, [variable]: text })).not.toContain(CANARY);
    }
  });

  test.each(SECRETS)('of %s_FILE: of its content, or of a secret in place of a path', (variable) => {
    for (const text of WRITTEN) {
      expect(outputOf({ [`${variable}_FILE`]: '/f' }, { '/f': text })).not.toContain(CANARY);
      expect(outputOf({ [`${variable}_FILE`]: text })).not.toContain(CANARY);
      expect(outputOf({ [`${variable}_FILE`]: text, [variable]: text })).not.toContain(CANARY);
    }
  });

  test.each(['SESSION_KEY', 'FINVERA_APIKEY', 'FINVERA_SECRET', 'REDIS_URI'])('of a misspelt %s', (variable) => {
    expect(outputOf({ [variable]: CANARY })).toContain(variable);
    expect(outputOf({ [variable]: CANARY })).not.toContain(CANARY);
  });

  test.each([...SETTING_NAMES, 'finveraApikey', 'routes'])('of %s in YAML', (name) => {
    for (const text of [
      ...WRITTEN,
      { path: CANARY, apiKeyIn: CANARY, key: CANARY },
      [CANARY],
      [[CANARY]],
      [{ path: CANARY }],
    ]) {
      const file =
        typeof text === 'string' && text.includes('\n') ? `${name}: ${text}` : JSON.stringify({ [name]: text });
      expect(outputOf({ GATEWAY_CONFIG: '/f' }, { '/f': file })).not.toContain(CANARY);
    }
  });

  test('of a file that is no YAML', () => {
    for (const text of [
      `{${CANARY}`,
      `*${CANARY}`,
      `"${CANARY}`,
      `!${CANARY} x`,
      `%${CANARY}\n---\n`,
      `- ${CANARY}\nb`,
      `${CANARY}\n: - x`,
    ]) {
      expect(outputOf({ GATEWAY_CONFIG: '/f' }, { '/f': text })).not.toContain(CANARY);
    }
  });

  test('whatever stands around it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SECRETS), fc.string(), fc.string(), (variable, before, after) => {
        expect(outputOf({ [variable]: `${before} ${CANARY} ${after}` })).not.toContain(CANARY);
      }),
    );
  });
});

test('valid secrets stay hidden when the settings are logged or inspected', () => {
  const env = { FINVERA_API_KEY: CANARY, REDIS_URL: `redis://:${CANARY}@h`, SESSION_KEYS: `k:${KEY}` };
  const loaded = loadWith(env);
  for (const text of [JSON.stringify(loaded), inspect(loaded, { depth: 9, showHidden: true })]) {
    expect(text).not.toContain(CANARY);
    expect(text).not.toContain(KEY);
  }
});
