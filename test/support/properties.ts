// How often a property is tried: FC_RUNS times, by default few enough for every run of the tests; what guards the way in ten
// thousand times in each.
import fc from 'fast-check';

const RUNS = Number(process.env.FC_RUNS ?? 300);
/** For what stands between an attacker's bytes and Finvera: in every run of the tests. */
const THOROUGH_RUNS = Math.max(10_000, RUNS);

/** For tests of properties: ten thousand runs need longer than one example. */
export const PROPERTY_TIMEOUT_MS = 180_000;

const propertyOf = (numRuns: number) => ({
  holds<T extends [unknown, ...unknown[]]>(...args: Parameters<typeof fc.property<T>>): void {
    fc.assert(fc.property(...args), { numRuns });
  },
  async holdsAsync<T extends [unknown, ...unknown[]]>(...args: Parameters<typeof fc.asyncProperty<T>>): Promise<void> {
    await fc.assert(fc.asyncProperty(...args), { numRuns });
  },
});

export const property = propertyOf(RUNS);
/** Header passes, path decision, cookie parsing, token extraction. */
export const thorough = propertyOf(THOROUGH_RUNS);
