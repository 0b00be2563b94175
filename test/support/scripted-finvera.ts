// A Finvera client whose refreshes answer what a test wrote down, in that order. No network.
import type { RefreshOutcome, TokenGrant } from '../../src/finvera/exchange-outcome.ts';
import type { CallContext, FinveraClient } from '../../src/finvera/finvera-client.ts';
import { Secret } from '../../src/kernel/secret.ts';

export interface ScriptedFinvera extends Pick<FinveraClient, 'refresh'> {
  /** The refresh tokens it was asked with. */
  readonly asked: string[];
  readonly contexts: CallContext[];
  /** What the next exchange comes to; one after the other. */
  answer(...outcomes: RefreshOutcome[]): void;
  /** The next exchange hangs until it is settled. `asked` resolves when it has begun. */
  hang(): HangingExchange;
}

export interface HangingExchange {
  readonly begun: Promise<void>;
  settle(outcome: RefreshOutcome): void;
}

export function createScriptedFinvera(): ScriptedFinvera {
  const asked: string[] = [];
  const contexts: CallContext[] = [];
  const script: (() => RefreshOutcome | Promise<RefreshOutcome>)[] = [];
  return {
    asked,
    contexts,
    answer(...outcomes) {
      for (const outcome of outcomes) script.push(() => outcome);
    },
    hang() {
      const begun = Promise.withResolvers<void>();
      const outcome = Promise.withResolvers<RefreshOutcome>();
      script.push(() => {
        begun.resolve();
        return outcome.promise;
      });
      return { begun: begun.promise, settle: outcome.resolve };
    },
    async refresh(token, context) {
      asked.push(token.reveal());
      contexts.push(context);
      const next = script.shift();
      if (!next) throw new Error('finvera was asked once more than the test expects');
      return await next();
    },
  };
}

/** New tokens named `access-<name>` and `refresh-<name>`. */
export function granted(name: string, now: number, lifeMs = 3_600_000): RefreshOutcome & { grant: TokenGrant } {
  return {
    kind: 'granted',
    grant: {
      access: new Secret(`access-${name}`),
      refresh: new Secret(`refresh-${name}`),
      accessExpiresAt: now + lifeMs,
      accessLifeMs: lifeMs,
    },
  };
}

export const REJECTED: RefreshOutcome = { kind: 'rejected', status: 401 };
export const UNAVAILABLE: RefreshOutcome = { kind: 'unavailable', why: 'unavailable', replyLost: false };
export const REPLY_LOST: RefreshOutcome = { kind: 'unavailable', why: 'timeout', replyLost: true };
