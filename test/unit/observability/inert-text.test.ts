import { expect, test } from '@jest/globals';
import { inert } from '../../../src/observability/inert-text.ts';

test('escapes what turns text around, ends lines or moves a cursor, and nothing else', () => {
  expect(inert('a\u2028b\u202ec\u009bd\u007fe\ufefff')).toBe('a\\u2028b\\u202ec\\u009bd\\u007fe\\ufefff');
  expect(inert('\u00e4 \u{1f511} "x" \\ \u200d')).toBe('\u00e4 \u{1f511} "x" \\ \u200d');
});
