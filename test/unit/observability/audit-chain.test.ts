// What a file of audit lines can suffer, and that each is found: properties over whole chains.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Secret } from '../../../src/kernel/secret.ts';
import { createAuditChain } from '../../../src/observability/audit-chain.ts';
import { createAuditVerification } from '../../../src/observability/audit-verification.ts';
import { PROPERTY_TIMEOUT_MS, property } from '../../support/properties.ts';

const keyOf = (kid: string, byte: number) => ({ kid, key: new Secret(Buffer.alloc(32, byte).toString('base64url')) });
const KEY = keyOf('k1', 1);

/** A chain of this many lines, with a first and a last one as a process writes them. */
function chainOf(count: number, key = KEY) {
  const chain = createAuditChain(key);
  const appended = Array.from({ length: count }, (_, i) => {
    const event = i === 0 ? 'audit_started' : i === count - 1 ? 'audit_stopped' : 'login_accepted';
    return chain.append({ log: 'audit', event, user_id: `user-${i}` });
  });
  return { lines: appended.map(({ line }) => line), marks: appended.map(({ at }) => at) };
}

function verify(lines: readonly string[], checkpoints: readonly { seq: number; mac: string }[] = [], keys = [KEY]) {
  const verification = createAuditVerification(keys);
  for (const [i, line] of lines.entries()) verification.add(line, String(i + 1));
  return verification.end(checkpoints);
}

const placesOf = (lines: readonly string[]) => verify(lines).problems.map(({ place }) => Number(place));

describe('a chain', () => {
  test('is sound as it was written, and so are several in one file', () => {
    const [one, two] = [chainOf(4), chainOf(3)];
    const mixed = [one.lines[0], two.lines[0], one.lines[1], one.lines[2], two.lines[1], two.lines[2], one.lines[3]];
    expect(verify(mixed as string[])).toEqual({ lines: 7, chains: 2, problems: [], openChains: [] });
  });

  test('is sound between the lines of an ordinary log', () => {
    const { lines } = chainOf(3);
    expect(verify(['{"level":"info","event":"ready"}', ...lines, '', '{"a":1}'])).toMatchObject({
      lines: 3,
      problems: [],
    });
  });

  test('may go on in a next file, and misses what was in one that is not there', () => {
    const { lines } = chainOf(6);
    expect(verify(lines).problems).toEqual([]);
    expect(verify(lines.slice(3)).problems).toEqual([{ place: '1', what: 'comes after missing lines: 3, from 1 on' }]);
  });

  test('says so where it has no last line, which is no problem by itself', () => {
    const { lines, marks } = chainOf(5);
    expect(verify(lines.slice(0, 4))).toMatchObject({ problems: [], openChains: [marks[0]?.chain] });
  });

  test('shows a cut end against a checkpoint, and only there', () => {
    const { lines, marks } = chainOf(8);
    const checkpoint = marks[5] as (typeof marks)[number];
    expect(verify(lines.slice(0, 6), [checkpoint]).problems).toEqual([]);
    expect(verify(lines.slice(0, 5), [checkpoint]).problems).toEqual([
      { what: 'line 6 of a checkpoint is not there: the end is cut off, or a file is missing' },
    ]);
    expect(verify(chainOf(8).lines, [checkpoint]).problems).toHaveLength(1);
  });

  test('needs the key it began with, whichever place that has now', () => {
    const { lines } = chainOf(3);
    expect(verify(lines, [], [keyOf('k2', 2), KEY]).problems).toEqual([]);
    expect(verify(lines, [], [keyOf('k2', 2)]).problems).toHaveLength(3);
  });

  test('cannot be begun by who has no key', () => {
    const forged = chainOf(3, keyOf('k1', 9)).lines;
    expect(verify([...chainOf(3).lines, ...forged]).problems.map(({ place }) => place)).toEqual(['4', '5', '6']);
  });

  test('keeps active characters out of terminals and lines whole', () => {
    const hostile = 'a\u001b[2J\r\n{"log":"audit"}\u2028\u202e\u009b1m\u0000\ud800';
    const { line } = createAuditChain(KEY).append({ log: 'audit', event: 'x', user_agent: hostile });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
    expect(JSON.parse(line).user_agent).toBe(hostile);
    expect(verify([line]).problems).toEqual([]);
  });
});

describe('tampering', () => {
  const size = fc.integer({ min: 4, max: 30 });

  test(
    'a line that is taken out is found at the line after it',
    () => {
      property.holds(size, fc.nat(), (count, at) => {
        const { lines } = chainOf(count);
        const gone = at % (count - 1);
        expect(placesOf(lines.toSpliced(gone, 1))).toEqual([gone + 1]);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test(
    'a line that is changed in any place is found, there or as missing before the next',
    () => {
      property.holds(size, fc.nat(), fc.nat(), fc.integer({ min: 33, max: 126 }), (count, at, where, code) => {
        const { lines } = chainOf(count);
        const changed = at % count;
        const line = lines[changed] as string;
        const position = where % line.length;
        const altered = line.slice(0, position) + String.fromCharCode(code) + line.slice(position + 1);
        if (altered === line) return;
        const { problems, openChains } = verify(lines.with(changed, altered));
        const blamed = problems.map(({ place }) => Number(place));
        expect(blamed.filter((place) => place !== changed + 1 && place !== changed + 2)).toEqual([]);
        // The last line can be made to look like no audit line: that is a cut end.
        expect(blamed.length > 0 || (changed === count - 1 && openChains.length === 1)).toBe(true);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test(
    'two lines that change places are found',
    () => {
      property.holds(size, fc.nat(), fc.nat(), (count, a, b) => {
        const { lines } = chainOf(count);
        const [one, other] = [a % count, b % count].sort((x, y) => x - y) as [number, number];
        if (one === other) return;
        const swapped = lines.with(one, lines[other] as string).with(other, lines[one] as string);
        expect(placesOf(swapped)).toContain(one + 1);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test(
    'a line that stands there twice is found',
    () => {
      property.holds(size, fc.nat(), fc.nat(), (count, from, to) => {
        const { lines } = chainOf(count);
        const source = from % count;
        const target = source + 1 + (to % (count - source));
        expect(placesOf(lines.toSpliced(target, 0, lines[source] as string))).toEqual([target + 1]);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test(
    'a line of another chain does not fit into this one',
    () => {
      property.holds(size, fc.nat(), (count, at) => {
        const [own, other] = [chainOf(count), chainOf(count)];
        const place = at % count;
        const foreign = JSON.parse(other.lines[place] as string) as Record<string, unknown>;
        const renamed = JSON.stringify({ ...foreign, chain: own.marks[0]?.chain });
        const found = placesOf(own.lines.with(place, renamed));
        expect(found).toContain(place + 1);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test(
    'whatever is written into a line stays what it was',
    () => {
      property.holds(fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), (members) => {
        const { line } = createAuditChain(KEY).append({ log: 'audit', ...members, event: 'x' });
        expect(line).not.toMatch(/[\r\n]/);
        expect(verify([line]).problems).toEqual([]);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );
});
