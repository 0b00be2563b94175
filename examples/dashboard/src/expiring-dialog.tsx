// The question before the session ends: stay, or log out? It goes by itself when the answer came in another tab.
import { useEffect, useRef } from 'react';
import { sayDuration } from './durations.ts';
import type { GatewaySession } from './gateway.ts';
import { useNow } from './use-now.ts';
import type { SessionHandle } from './use-session.ts';

interface ExpiringDialogProps {
  readonly session: GatewaySession;
  readonly receivedAtMs: number;
  readonly handle: Pick<SessionHandle, 'stay' | 'look'>;
  onLogOut(): void;
}

/** The same as the gateway's `expiring` event: without events, the page still knows by its clock. */
const AHEAD_S = 120;
const LOOK_EVERY_MS = 3_000;

export function ExpiringDialog({ session, receivedAtMs, handle, onLogOut }: ExpiringDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const passedS = (useNow() - receivedAtMs) / 1_000;
  const leftS = session.idle_expires_in - passedS;
  const isOpen = leftS <= AHEAD_S;
  /** The session's own end: no activity moves it away. */
  const isFinal = session.idle_expires_in >= session.expires_in;
  const { stay, look } = handle;

  useEffect(() => {
    if (!isOpen) {
      dialog.current?.close();
      return;
    }
    dialog.current?.showModal();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, [isOpen, look]);

  return (
    <dialog
      ref={dialog}
      aria-labelledby="expiring-title"
      aria-describedby="expiring-text"
      onCancel={(event) => {
        // Whoever presses Escape is there.
        event.preventDefault();
        void stay();
      }}
    >
      <h2 id="expiring-title">Are you still there?</h2>
      <p id="expiring-text">
        {isFinal
          ? 'This session reaches its end, whatever you do. Save what you are at, and log in again.'
          : 'You have not done anything for a while, and will be logged out.'}
      </p>
      <p className="countdown" role="timer" aria-live="off">
        {sayDuration(leftS)}
      </p>
      <div className="row">
        {!isFinal && (
          <button type="button" className="primary" onClick={stay}>
            Stay logged in
          </button>
        )}
        <button type="button" onClick={onLogOut}>
          Log out
        </button>
      </div>
    </dialog>
  );
}
