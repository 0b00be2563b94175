// The laboratory in a small size: every scenario, its invariants only. `npm run lab` measures the full size.
import { describe, expect, jest, test } from '@jest/globals';
import { SMALL } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

jest.setTimeout(180_000);

describe('the fault laboratory', () => {
  test.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('holds: %s', async (_name, scenario) => {
    const { violations } = await scenario.run(SMALL);
    expect(violations).toEqual([]);
  });
});
