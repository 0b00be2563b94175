// Who is logged in, as the gateway says: asked at the start, told by the client's events, and asked again now and then.
import { useCallback, useEffect, useState } from 'react';
import type { GatewayClient, SessionAnswer } from './gateway.ts';
import { type Problem, problemOf } from './problem.ts';
import { likelyReason } from './signed-out-reason.ts';

export type SessionState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'unknown'; readonly problem: Problem }
  /** `reason`: why it ended; undefined where nobody had been here. */
  | { readonly kind: 'signedOut'; readonly reason: string | undefined }
  | { readonly kind: 'signedIn'; readonly answer: SessionAnswer; readonly receivedAtMs: number };

export interface SessionHandle {
  readonly state: SessionState;
  /** Counts as the user's activity. */
  stay(): Promise<void>;
  /** How much time is left, without being activity. */
  look(): Promise<void>;
}

const leftS = (state: SessionState): number =>
  state.kind === 'signedIn'
    ? state.answer.session.idle_expires_in - (performance.now() - state.receivedAtMs) / 1_000
    : Number.POSITIVE_INFINITY;

const LOOK_EVERY_MS = 15_000;

export function useSession(client: GatewayClient): SessionHandle {
  const [state, setState] = useState<SessionState>({ kind: 'loading' });
  const enter = useCallback(
    (answer: SessionAnswer) => setState({ kind: 'signedIn', answer, receivedAtMs: performance.now() }),
    [],
  );

  const stay = useCallback(async () => {
    try {
      const answer = await client.session();
      if (answer) enter(answer);
      else setState((old) => (old.kind === 'signedOut' ? old : { kind: 'signedOut', reason: undefined }));
    } catch (error) {
      // What is known stays on the screen: a store that is down has logged nobody out.
      setState((old) => (old.kind === 'signedIn' ? old : { kind: 'unknown', problem: problemOf(error) }));
    }
  }, [client, enter]);

  const look = useCallback(async () => {
    try {
      const response = await client.fetch('/bff/session?slide=false');
      if (response.ok) enter((await response.json()) as SessionAnswer);
    } catch {
      // The end of the session comes as an event; anything else changes nothing.
    }
  }, [client, enter]);

  useEffect(() => {
    const stops = [
      client.on('signedIn', enter),
      client.on('signedOut', (reason) =>
        setState((old) => ({ kind: 'signedOut', reason: likelyReason(reason, leftS(old)) })),
      ),
      client.on('refreshed', look),
      client.on('expiring', look),
    ];
    void stay();
    return () => {
      for (const stop of stops) stop();
    };
  }, [client, enter, stay, look]);

  const isSignedIn = state.kind === 'signedIn';
  useEffect(() => {
    if (!isSignedIn) return;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') void look();
    }, LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, [isSignedIn, look]);

  return { state, stay, look };
}
