import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createPlaceList, NOWHERE, type Placed } from '../../../src/kernel/place-list.ts';

const createMembers = (count: number): Placed[] => Array.from({ length: count }, () => ({ place: NOWHERE }));

describe('createPlaceList', () => {
  it('holds what a set would hold, whatever comes and goes', () => {
    const steps = fc.array(fc.record({ who: fc.nat({ max: 9 }), comes: fc.boolean() }), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (all) => {
        const list = createPlaceList();
        const members = createMembers(10);
        const expected = new Set<Placed>();
        for (const { who, comes } of all) {
          const member = members[who] as Placed;
          if (comes) {
            list.add(member);
            expected.add(member);
          } else {
            list.delete(member);
            expected.delete(member);
          }
          expect(list.size).toBe(expected.size);
        }
        const seen: Placed[] = [];
        list.visitAll((member) => seen.push(member));
        expect(seen).toHaveLength(expected.size);
        expect(new Set(seen)).toEqual(expected);
      }),
    );
  });

  it('leaves none out that stays, whoever leaves while it goes through them', () => {
    const leavers = fc.array(fc.tuple(fc.nat({ max: 7 }), fc.nat({ max: 7 })), { maxLength: 8 });
    fc.assert(
      fc.property(leavers, (pairs) => {
        const list = createPlaceList();
        const members = createMembers(8);
        for (const member of members) list.add(member);
        const gone = new Set<Placed>();
        const seen = new Set<Placed>();
        list.visitAll((member) => {
          expect(gone.has(member)).toBe(false);
          seen.add(member);
          for (const [by, who] of pairs) {
            if (members[by] !== member) continue;
            list.delete(members[who] as Placed);
            gone.add(members[who] as Placed);
          }
        });
        for (const member of members) expect(seen.has(member) || gone.has(member)).toBe(true);
      }),
    );
  });

  it('lets its members go when it is cleared', () => {
    const list = createPlaceList();
    const other = createPlaceList();
    const members = createMembers(3);
    for (const member of members) list.add(member);
    list.clear();
    expect(list.size).toBe(0);
    for (const member of members) other.add(member);
    expect(other.size).toBe(3);
  });
});
