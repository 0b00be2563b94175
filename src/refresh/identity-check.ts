/**
 * Asks Finvera after each renewal of the tokens who the user is by now: answers are shared by licensing tier, and a tier
 * that was changed must count before the next login. Behind the request, never in its way.
 */
import type { FinveraClient } from '../finvera/finvera-client.ts';
import type { Logger } from '../observability/logger.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';

/**
 * @returns sessions whose renewals are followed by a check. Where Finvera does not say, what was known stands until the
 *   next renewal.
 */
export function withIdentityCheck(
  sessions: Sessions,
  finvera: Pick<FinveraClient, 'validate'>,
  log: Pick<Logger, 'info' | 'warn'>,
): Sessions {
  const check = async (session: Session): Promise<void> => {
    const outcome = await finvera.validate(session.tokens.access, {});
    if (outcome.kind !== 'identified') {
      log.warn(
        { event: 'identity_not_checked', session: session.hash, outcome: outcome.kind },
        'the tier stays as it was',
      );
      return;
    }
    const { user_id, email, username, licensing_tier_id } = outcome.identity;
    const isSame = licensing_tier_id === session.user.licensing_tier_id;
    // A token of somebody else is no reason to make this session theirs.
    if (isSame || user_id !== session.user.user_id) return;
    const user = { user_id, email, username, licensing_tier_id };
    // Counts only if nobody wrote tokens meanwhile: whoever did checks again.
    const written = await sessions.renew({ ...session, user }, session.tokens, session.forced);
    if (written.kind === 'renewed')
      log.info({ event: 'tier_changed', session: session.hash }, 'the user’s tier changed');
  };
  return {
    ...sessions,
    async renew(session, tokens, forced) {
      const renewal = await sessions.renew(session, tokens, forced);
      if (renewal.kind === 'renewed')
        check(renewal.session).catch((error: unknown) =>
          log.warn({ event: 'identity_not_checked', session: session.hash, error }, 'the tier stays as it was'),
        );
      return renewal;
    },
  };
}
