// What somebody sees who is logged in: every panel, the banner while offline, and the dialog before the session ends.
import { useEffect, useRef, useState } from 'react';
import { EventsPanel } from './events-panel.tsx';
import { ExpiringDialog } from './expiring-dialog.tsx';
import { FaultPanel } from './fault-panel.tsx';
import type { GatewayClient, SessionAnswer } from './gateway.ts';
import { problemOf } from './problem.ts';
import { QuotesPanel } from './quotes-panel.tsx';
import { SearchPanel } from './search-panel.tsx';
import { SessionPanel } from './session-panel.tsx';
import { useOnline } from './use-online.ts';
import { useQuotes } from './use-quotes.ts';
import type { SessionHandle } from './use-session.ts';

interface DashboardPageProps {
  readonly client: GatewayClient;
  readonly session: SessionHandle;
  readonly answer: SessionAnswer;
  readonly receivedAtMs: number;
}

export function DashboardPage({ client, session, answer, receivedAtMs }: DashboardPageProps) {
  const isOnline = useOnline();
  const quotes = useQuotes(client);
  const [symbol, setSymbol] = useState('AAPL');
  const [logoutProblem, setLogoutProblem] = useState<string>();
  const heading = useRef<HTMLHeadingElement>(null);

  useEffect(() => {
    document.title = 'Finvera dashboard';
    heading.current?.focus();
  }, []);

  const logOut = async () => {
    try {
      await client.logout();
    } catch (error) {
      setLogoutProblem(`You are still logged in. ${problemOf(error).title}.`);
    }
  };
  const watch = (added: string) => {
    quotes.watch(added);
    setSymbol(added);
  };

  return (
    <>
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="top">
        <h1 ref={heading} tabIndex={-1}>
          <img src="/icon.svg" alt="" width="26" height="26" /> Finvera dashboard
        </h1>
        <p className="who">
          <span className="name">{answer.user.username}</span>
          <span className="tier">{answer.user.licensing_tier_id}</span>
        </p>
        <button type="button" onClick={logOut}>
          Log out
        </button>
      </header>
      <div role="status" className="banner">
        {isOnline ? logoutProblem : 'You are offline. Quotes come back by themselves as soon as you are not.'}
      </div>
      <main id="content" className="grid">
        <div className="column">
          <QuotesPanel quotes={quotes} symbol={symbol} onChoose={setSymbol} />
          <SearchPanel client={client} watched={quotes.symbols} onWatch={watch} />
          <EventsPanel client={client} symbol={symbol} />
        </div>
        <div className="column">
          <SessionPanel client={client} session={answer.session} receivedAtMs={receivedAtMs} />
          <FaultPanel client={client} />
        </div>
      </main>
      <ExpiringDialog session={answer.session} receivedAtMs={receivedAtMs} handle={session} onLogOut={logOut} />
    </>
  );
}
