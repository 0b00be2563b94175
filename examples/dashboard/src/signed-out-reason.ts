// Why the session is over, in the words of a person. Pure.

const SENTENCES: Readonly<Record<string, string>> = {
  logout: 'You are logged out.',
  idle: 'You were logged out because nothing happened for a while.',
  absolute: 'The session has reached its end. Log in again to go on.',
  ended_by_user: 'The session was ended from another device.',
  limit: 'This was the oldest of too many sessions, and has ended.',
  replaced: 'Another login in this browser took this one’s place.',
  refresh_rejected: 'Finvera no longer accepts this login. Log in again to go on.',
  refresh_reply_lost: 'Finvera could not renew this login. Log in again to go on.',
  operator: 'The session was ended by an administrator.',
};

/** Nobody heard why: but a session whose time was up has ended of that. @param leftS what was left of it by the page's clock. */
export function likelyReason(reason: string, leftS: number): string {
  return reason === 'session_expired' && leftS < 2 ? 'idle' : reason;
}

export function reasonSentence(reason: string): string {
  return SENTENCES[reason] ?? 'The session has ended. Log in again to go on.';
}
