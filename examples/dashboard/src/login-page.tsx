// The login form, with a word for everything that can go wrong.
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { sayDuration } from './durations.ts';
import type { GatewayClient } from './gateway.ts';
import { type Problem, problemOf } from './problem.ts';
import { ProblemNote, useCountdown } from './problem-note.tsx';
import { reasonSentence } from './signed-out-reason.ts';

interface LoginPageProps {
  readonly client: GatewayClient;
  readonly reason: string | undefined;
}

export function LoginPage({ client, reason }: LoginPageProps) {
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const heading = useRef<HTMLHeadingElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const waitS = useCountdown(problem);

  useEffect(() => {
    document.title = 'Log in · Finvera dashboard';
    heading.current?.focus();
  }, []);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (isBusy || waitS > 0) return;
    const form = new FormData(event.currentTarget);
    setIsBusy(true);
    setProblem(undefined);
    try {
      await client.login(String(form.get('email')), String(form.get('password')));
    } catch (error) {
      setProblem(problemOf(error));
      setIsBusy(false);
      password.current?.select();
      password.current?.focus();
    }
  };

  return (
    <main className="centred">
      <div className="card login">
        <h1 ref={heading} tabIndex={-1}>
          <img src="/icon.svg" alt="" width="28" height="28" /> Finvera dashboard
        </h1>
        {reason && !problem && (
          <p className="note" role="status">
            {reasonSentence(reason)}
          </p>
        )}
        {problem && <ProblemNote problem={problem} />}
        <form onSubmit={submit} aria-busy={isBusy}>
          <label>
            Email
            <input name="email" type="email" autoComplete="username" required defaultValue="demo@finvera.test" />
          </label>
          <label>
            Password
            <input
              ref={password}
              name="password"
              type="password"
              autoComplete="current-password"
              required
              aria-invalid={problem?.code === 'login_rejected' || undefined}
            />
          </label>
          <button type="submit" className="primary" disabled={waitS > 0}>
            {waitS > 0 ? `Try again in ${sayDuration(waitS)}` : isBusy ? 'Logging in…' : 'Log in'}
          </button>
        </form>
        <p className="fine">
          The demo's password is <code>demo-password</code>. No token of Finvera's reaches this browser.
        </p>
      </div>
    </main>
  );
}
