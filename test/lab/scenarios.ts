// The laboratory's scenarios in the order they run.
import type { Scenario } from './scenario.ts';
import { alwaysUnauthorized, manySessions, oneSession } from './scenarios/expiry-storms.ts';
import { hubFanOut, hubStalledReader } from './scenarios/hub.ts';
import { downloadToSlowReader, uploadToSlowUpstream } from './scenarios/large-bodies.ts';
import { manyLiveSessions, rollingRestart } from './scenarios/life-cycle.ts';
import { lostReplyWithGrace, lostReplyWithoutGrace, lostWrite } from './scenarios/lost-messages.ts';
import {
  redisCutOff,
  redisOutOfMemory,
  redisPaused,
  revocationBehindCutCable,
  revocationEverywhere,
} from './scenarios/outages.ts';
import { holderKilled, logoutWhileRefreshHangs } from './scenarios/races.ts';
import { askerKilled, cacheRedisFails, coldStorm, hitCost, polling } from './scenarios/shared-answers.ts';
import { idleStreamsOfTheHub, idleStreamsOfTheirOwn, logoutEndsStreams } from './scenarios/streams.ts';
import { clusterFailover, sentinelFailover } from './scenarios/topologies.ts';

export const SCENARIOS: readonly Scenario[] = [
  oneSession,
  manySessions,
  alwaysUnauthorized,
  logoutWhileRefreshHangs,
  holderKilled,
  lostReplyWithGrace,
  lostReplyWithoutGrace,
  lostWrite,
  revocationEverywhere,
  revocationBehindCutCable,
  redisPaused,
  redisOutOfMemory,
  redisCutOff,
  sentinelFailover,
  clusterFailover,
  rollingRestart,
  manyLiveSessions,
  hubFanOut,
  hubStalledReader,
  coldStorm,
  hitCost,
  polling,
  cacheRedisFails,
  askerKilled,
  idleStreamsOfTheirOwn,
  idleStreamsOfTheHub,
  logoutEndsStreams,
  downloadToSlowReader,
  uploadToSlowUpstream,
];
