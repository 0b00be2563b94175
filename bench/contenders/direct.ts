// The direct path: the load generator at the upstream itself, with the bearer. No contender, but what the others are measured from.
import type { Contender } from '../contender.ts';
import { ACCESS_TOKEN } from '../job.ts';

export const direct: Contender = {
  name: 'direct',
  label: 'direct path, no gateway',
  description: 'the load generator at the upstream itself, bearer in hand; how far generator and upstream reach',
  start: async ({ upstreamPort }) => ({
    port: upstreamPort,
    pid: undefined,
    credential: ['Authorization', `Bearer ${ACCESS_TOKEN}`],
    end: async () => undefined,
  }),
};
