import { describe, expect, test } from '@jest/globals';
import { createTable } from '../../../src/cli/table.ts';

const TABLE = createTable<readonly [string, string]>([
  { title: 'ONE', width: 5, value: ([one]) => one },
  { title: 'TWO', width: 0, value: ([, two]) => two },
]);

describe('a table', () => {
  test('aligns its columns and cuts what is too long, the last one apart', () => {
    expect(TABLE.head() + TABLE.row(['a', 'b']) + TABLE.row(['abcdefg', 'as long as it is'])).toBe(
      'ONE    TWO\na      b\nabcd…  as long as it is\n',
    );
  });

  test('prints nothing that moves a cursor, ends a line or turns text around', () => {
    expect(TABLE.row(['a', 'x\u001b[2J\r\n\u202ey\u009b'])).toBe('a      x\\u001b[2J\\u000d\\u000a\\u202ey\\u009b\n');
  });
});
