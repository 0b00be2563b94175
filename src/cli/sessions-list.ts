/** `sessions list`: the sessions of a user, or all, a row each as they come. */
import { inert } from '../observability/inert-text.ts';
import type { StoredSession } from '../session/session-store.ts';
import { type CommandOptions, DONE } from './command-options.ts';
import { withStore } from './open-store.ts';
import type { OperatorArguments } from './parse-operator-command.ts';
import { createProgress } from './progress.ts';
import { outsideOf, type SessionOutside } from './session-outside.ts';
import { createTable } from './table.ts';

const TABLE = createTable<SessionOutside>([
  { title: 'ID', width: 16, value: ({ id }) => id },
  { title: 'USER', width: 36, value: ({ user_id }) => user_id },
  { title: 'BEGAN', width: 20, value: ({ created_at }) => created_at },
  { title: 'LAST SEEN', width: 20, value: ({ last_seen_at }) => last_seen_at },
  { title: 'ADDRESS', width: 15, value: ({ ip }) => ip },
  { title: 'USER AGENT', width: 0, value: ({ user_agent }) => user_agent },
]);

export async function listSessions({ user, json }: OperatorArguments, options: CommandOptions): Promise<number> {
  return await withStore(options, async ({ store }) => {
    const { stdout } = options;
    const progress = createProgress(options, 'sessions seen');
    stdout.write(json ? '{"sessions":[' : TABLE.head());
    let count = 0;
    let unreadable = 0;
    const print = (session: StoredSession) => {
      const outside = outsideOf(session);
      stdout.write(json ? `${count === 0 ? '' : ','}\n${inert(JSON.stringify(outside))}` : TABLE.row(outside));
      count += 1;
    };
    if (user !== undefined) {
      for (const session of await store.listByUser(user)) print(session);
    } else {
      const seen = new Set<string>(); // the walk may come by twice
      for await (const batch of store.all()) {
        for (const { hash, session } of batch) {
          if (!session) unreadable += 1;
          else if (!seen.has(hash)) print(session);
          seen.add(hash);
        }
        progress.show(count);
      }
    }
    stdout.write(json ? `\n],"count":${count}}\n` : `${count} ${count === 1 ? 'session' : 'sessions'}\n`);
    if (unreadable > 0) options.stderr.write(`warning: ${unreadable} more ended meanwhile, or cannot be read\n`);
    return DONE;
  });
}
