// The application: the login form or the dashboard, whichever the session says.
import { DashboardPage } from './dashboard-page.tsx';
import type { GatewayClient } from './gateway.ts';
import { LoginPage } from './login-page.tsx';
import { ProblemNote } from './problem-note.tsx';
import { useSession } from './use-session.ts';

export function App({ client }: { readonly client: GatewayClient }) {
  const session = useSession(client);
  const { state } = session;
  switch (state.kind) {
    case 'loading':
      return (
        <main className="centred" aria-busy="true">
          <p role="status">One moment…</p>
        </main>
      );
    case 'unknown':
      return (
        <main className="centred">
          <h1>Finvera dashboard</h1>
          <ProblemNote problem={state.problem} onRetry={session.stay} />
        </main>
      );
    case 'signedOut':
      return <LoginPage client={client} reason={state.reason} />;
    case 'signedIn':
      return (
        <DashboardPage client={client} session={session} answer={state.answer} receivedAtMs={state.receivedAtMs} />
      );
  }
}
