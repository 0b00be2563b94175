// How often a property is tried: FC_RUNS times, by default few enough for every run of the tests.
import fc from 'fast-check';

const RUNS = Number(process.env.FC_RUNS ?? 300);

/** For tests of properties: ten thousand runs need longer than one example. */
export const PROPERTY_TIMEOUT_MS = 180_000;

export const property = {
  holds<T extends [unknown, ...unknown[]]>(...args: Parameters<typeof fc.property<T>>): void {
    fc.assert(fc.property(...args), { numRuns: RUNS });
  },
  async holdsAsync<T extends [unknown, ...unknown[]]>(...args: Parameters<typeof fc.asyncProperty<T>>): Promise<void> {
    await fc.assert(fc.asyncProperty(...args), { numRuns: RUNS });
  },
};
