import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  attemptLimit,
  boolean,
  duration,
  formatDuration,
  formatSize,
  integer,
  list,
  oneOf,
  parseDuration,
  parseSize,
  share,
  size,
} from '../../../src/config/values.ts';

const messageOf = (
  kind: { schema: ReturnType<typeof integer>['schema'] | { safeParse(v: unknown): unknown } },
  text: unknown,
) => {
  const parsed = kind.schema.safeParse(text) as { error?: { issues: { message: string }[] } };
  return parsed.error?.issues[0]?.message;
};

describe('shares', () => {
  test.each([
    ['0', 0],
    ['1', 1],
    ['0.1', 0.1],
    ['.25', 0.25],
    ['1.0', 1],
    ['0.000001', 0.000001],
  ])('reads %s as %d, and again what it writes of it', (text, value) => {
    expect(share.schema.safeParse(text).data).toBe(value);
    expect(share.schema.safeParse(share.format(value)).data).toBe(value);
  });

  test.each(['', '10%', '1.1', '-0', '2', '1e-3', '0.', '.', '0,1', ' 0.1'])('refuses %j', (text) => {
    expect(messageOf(share, text)).toBe('must be a share from 0 to 1, such as 0.1');
  });
});

describe('durations', () => {
  test.each([
    ['250ms', 250],
    ['90s', 90_000],
    ['15m', 900_000],
    ['12h', 43_200_000],
    ['30d', 2_592_000_000],
    ['0', 0],
    ['0s', 0],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '5', '-5s', '1.5h', '5 s', '5S', '5M', '5w', 's', '1h30m', '1e3s', '999999999999d', ' 5s', '5s\n'])(
    'refuses %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test('reads back what it writes', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 1e12 }), (ms) => parseDuration(formatDuration(ms)) === ms));
  });

  test('reads every amount with every unit as their product', () => {
    const units = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
    const unit = fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[]));
    fc.assert(
      fc.property(fc.nat(1e6), unit, (amount, each) => parseDuration(`${amount}${each}`) === amount * units[each]),
    );
  });

  test('never throws and never gives a value that is no whole number of milliseconds', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const ms = parseDuration(text);
        return ms === undefined || (Number.isSafeInteger(ms) && ms >= 0);
      }),
    );
  });

  test('keeps its bounds and names them', () => {
    const kind = duration('1s', '1h');
    expect(kind.schema.safeParse('1s').data).toBe(1000);
    expect(kind.schema.safeParse('60m').data).toBe(3_600_000);
    expect(messageOf(kind, '999ms')).toMatch(/^must be a duration from 1s to 1h/);
    expect(messageOf(kind, '3601s')).toMatch(/^must be a duration from 1s to 1h/);
  });
});

describe('sizes', () => {
  test.each([
    ['512kb', 524_288],
    ['10mb', 10_485_760],
    ['10MB', 10_485_760],
    ['1gb', 1_073_741_824],
    ['100b', 100],
    ['1024', 1024],
  ])('reads %s as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', '-1', '1.5mb', '10 mb', 'mb', '10m', '10kib', '999999999999gb'])('refuses %j', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  test('reads back what it writes', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 39 }), (bytes) => parseSize(formatSize(bytes)) === bytes));
  });

  test('keeps its bounds', () => {
    const kind = size('1kb', '1mb');
    expect(kind.schema.safeParse('1024').data).toBe(1024);
    expect(kind.schema.safeParse('1023').success).toBe(false);
    expect(kind.schema.safeParse('2mb').success).toBe(false);
  });
});

describe('limits of attempts', () => {
  test('reads attempts per duration and off', () => {
    expect(attemptLimit.schema.parse('10/15m')).toEqual({ points: 10, windowMs: 900_000 });
    expect(attemptLimit.schema.parse('off')).toBe('off');
  });

  test.each(['10', '0/15m', '10/0s', '10/31d', '10/15', '/15m', '10/', '10/15m/2', '-1/15m', 'none', '2000000/1m'])(
    'refuses %j',
    (text) => {
      expect(attemptLimit.schema.safeParse(text).success).toBe(false);
    },
  );

  test('reads back what it writes', () => {
    const limit = fc.record({
      points: fc.integer({ min: 1, max: 1e6 }),
      windowMs: fc.integer({ min: 1000, max: 2_592_000_000 }),
    });
    fc.assert(
      fc.property(limit, (each) => {
        expect(attemptLimit.schema.parse(attemptLimit.format(each))).toEqual(each);
      }),
    );
    expect(attemptLimit.format('off')).toBe('off');
  });
});

describe('the other kinds', () => {
  test('reads whole numbers within bounds only', () => {
    const kind = integer(0, 65_535);
    expect(kind.schema.parse('0')).toBe(0);
    expect(kind.schema.parse('65535')).toBe(65_535);
    for (const text of ['65536', '-1', '1.5', '1e3', '0x10', '', 'x'])
      expect(kind.schema.safeParse(text).success).toBe(false);
  });

  test('reads true and false only as a truth value', () => {
    expect(boolean.schema.parse('true')).toBe(true);
    expect(boolean.schema.parse('false')).toBe(false);
    for (const text of ['yes', '1', 'TRUE', 'off']) expect(messageOf(boolean, text)).toBe('must be true or false');
  });

  test('names the choices', () => {
    const kind = oneOf('Strict', 'Lax');
    expect(kind.schema.parse('Lax')).toBe('Lax');
    expect(messageOf(kind, 'lax')).toBe('must be one of Strict, Lax');
  });

  test('says which entry of a list is wrong', () => {
    const kind = list(integer(1, 9), 'digits');
    expect(kind.schema.parse(['1', '2'])).toEqual([1, 2]);
    expect(kind.schema.safeParse(['1', 'x']).error?.issues.map(({ path }) => path)).toEqual([[1]]);
    expect(messageOf(kind, '1,2')).toBe('must be a list');
  });

  test('refuses what is no text with the sentence for bad text', () => {
    for (const value of [{}, [], null, undefined])
      expect(messageOf(integer(1, 2), value)).toBe('must be a whole number from 1 to 2');
  });
});
