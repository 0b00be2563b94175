/** `sessions end`: ends a session, those of a user, or all, as the operator; each is told to every instance and to the audit trail. */
import type { Audit } from '../observability/audit.ts';
import type { FoundSession, SessionStore } from '../session/session-store.ts';
import { type CommandOptions, DONE, NOT_DONE, NOT_UNDERSTOOD } from './command-options.ts';
import { withStore } from './open-store.ts';
import { accountName, openAudit } from './operator-audit.ts';
import type { OperatorArguments } from './parse-operator-command.ts';
import { createProgress } from './progress.ts';
import { findSession } from './session-outside.ts';

/** How many ends are under way at once: the store serves requests meanwhile. */
const AT_ONCE = 50;

export async function endSessions(asked: OperatorArguments, options: CommandOptions): Promise<number> {
  const { all, yes } = asked;
  if (all && !yes && !options.confirm) {
    options.stderr.write('problem: --all ends every session; where nobody can be asked, it needs --yes\n');
    return NOT_UNDERSTOOD;
  }
  return await withStore(options, async (open) => {
    if (all && !yes && !(await options.confirm?.(`End every session in the Redis at ${open.place}? Type yes: `))) {
      options.stderr.write('Nothing was ended.\n');
      return NOT_DONE;
    }
    const audit = openAudit(open.settings, options);
    try {
      return await endAsked(asked, open.store, audit, options);
    } finally {
      audit.close();
    }
  });
}

async function endAsked(
  asked: OperatorArguments,
  store: SessionStore,
  audit: Audit,
  options: CommandOptions,
): Promise<number> {
  const progress = createProgress(options, 'sessions ended');
  const operator = accountName();
  let ended = 0;
  const end = async ({ hash, session }: FoundSession) => {
    const userId = session?.userId ?? '';
    if (!(await store.end({ hash, userId }, 'operator'))) return;
    ended += 1;
    audit.record('session_ended', {
      session: hash,
      user_id: userId || undefined,
      reason: 'operator',
      by: 'operator',
      operator,
    });
  };
  for await (const batch of askedSessions(asked, store)) {
    for (let i = 0; i < batch.length; i += AT_ONCE) {
      await Promise.all(batch.slice(i, i + AT_ONCE).map(end));
      progress.show(ended);
    }
  }
  options.stdout.write(
    asked.json ? `${JSON.stringify({ ended })}\n` : `${ended} ${ended === 1 ? 'session' : 'sessions'} ended\n`,
  );
  if (asked.id === undefined || ended > 0) return DONE;
  options.stderr.write('problem: there is no such session; it may have ended already\n');
  return NOT_DONE;
}

async function* askedSessions(
  { id, user, all }: OperatorArguments,
  store: SessionStore,
): AsyncGenerator<readonly FoundSession[]> {
  if (all) yield* store.all();
  else if (user !== undefined) yield (await store.listByUser(user)).map((session) => ({ hash: session.hash, session }));
  else if (id !== undefined) {
    const found = await findSession(store, id);
    if (found) yield [found];
  }
}
