// Who is logged in, as a React hook: every component that uses it follows a login or logout in any tab.
import { createGatewayClient, type GatewayUser } from 'finvera-gateway/client';
import { useSyncExternalStore } from 'react';

export type Session =
  | { readonly state: 'asking' }
  | { readonly state: 'in'; readonly user: GatewayUser; readonly isExpiring: boolean }
  | { readonly state: 'out'; readonly reason?: string };

/** One for the whole page: `gateway.login(…)`, `gateway.fetch(…)`, `gateway.stream()`, `gateway.logout()`. */
export const gateway = createGatewayClient();

let session: Session = { state: 'asking' };
const listeners = new Set<() => void>();
function become(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

gateway.on('signedIn', ({ user }) => become({ state: 'in', user, isExpiring: false }));
gateway.on('signedOut', (reason) => become({ state: 'out', reason }));
gateway.on('expiring', () => session.state === 'in' && become({ ...session, isExpiring: true }));

/** At the start of the page, and where the user wants to stay: being asked is activity. @throws GatewayError */
export async function askWhoIsThere(): Promise<void> {
  const answer = await gateway.session();
  become(answer ? { state: 'in', user: answer.user, isExpiring: false } : { state: 'out' });
}

function follow(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useSession = (): Session => useSyncExternalStore(follow, () => session);
