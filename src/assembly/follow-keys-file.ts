/** `SESSION_KEYS_FILE` wired: a change of it reaches whoever seals, and is shown, told and audited. */
import { watchSessionKeys } from '../config/session-keys-file.ts';
import type { SessionKey } from '../config/settings.ts';
import type { TokenSeal } from '../session/token-seal.ts';
import type { AssemblyParts } from './assemble.ts';

/** Keys of a file change without a restart; those of a variable cannot. */
export function followKeysFile(
  { settings, log, metrics, audit, channel }: Pick<AssemblyParts, 'settings' | 'log' | 'metrics' | 'audit' | 'channel'>,
  holders: readonly Pick<TokenSeal, 'replaceKeys'>[],
): { stop(): void } {
  const { sessionKeysFile: path, sessionKeys: keys } = settings;
  const show = (inForce: readonly SessionKey[]) => {
    metrics.sessionKeys.reset();
    for (const [i, { kid }] of inForce.entries()) metrics.sessionKeys.set({ kid }, i === 0 ? 1 : 0);
  };
  show(keys);
  if (path === undefined) return { stop() {} };
  return watchSessionKeys({
    path,
    keys,
    onKeys(changed) {
      for (const holder of holders) holder.replaceKeys(changed);
      // A key that was taken out ends its sessions now, not when they leave the cache.
      channel.tell({ kind: 'flushed' });
      show(changed);
      const kids = changed.map(({ kid }) => kid).join(',');
      audit.record('session_keys_changed', { kids, by: 'operator' });
      log.info({ event: 'session_keys_changed', kids }, 'session keys changed');
    },
    onProblem(problem) {
      log.error({ event: 'session_keys_refused', error: problem }, 'the session keys in force stay');
    },
  });
}
