// The session: how long it lasts, on which devices this user is logged in, and the end of any of them.
import { useCallback, useEffect, useState } from 'react';
import { nameDevice } from './device-name.ts';
import { sayDuration } from './durations.ts';
import type { GatewayClient, GatewaySession, ListedSession } from './gateway.ts';
import { type Problem, problemOf } from './problem.ts';
import { ProblemNote } from './problem-note.tsx';
import { useNow } from './use-now.ts';

interface SessionPanelProps {
  readonly client: GatewayClient;
  readonly session: GatewaySession;
  readonly receivedAtMs: number;
}

export function SessionPanel({ client, session, receivedAtMs }: SessionPanelProps) {
  const [devices, setDevices] = useState<readonly ListedSession[]>([]);
  const [problem, setProblem] = useState<Problem>();
  const [message, setMessage] = useState('');
  const passedS = (useNow() - receivedAtMs) / 1_000;

  const load = useCallback(async () => {
    try {
      setDevices(await client.sessions());
      setProblem(undefined);
    } catch (error) {
      setProblem(problemOf(error));
    }
  }, [client]);
  useEffect(() => void load(), [load]);

  const end = async (device: ListedSession) => {
    try {
      await client.endSession(device.id);
      setMessage(`${nameDevice(device.user_agent)} is logged out.`);
    } catch (error) {
      setProblem(problemOf(error));
      return;
    }
    if (!device.current) await load();
  };

  return (
    <section className="card" aria-labelledby="session-title">
      <div className="card-head">
        <h2 id="session-title">Your session</h2>
        <button type="button" onClick={load}>
          Reload<span className="unseen"> the devices</span>
        </button>
      </div>
      <dl className="times">
        <Time name="If you do nothing" seconds={session.idle_expires_in - passedS} />
        <Time name="At the latest" seconds={session.expires_in - passedS} />
        <Time name="Finvera’s token" seconds={session.access_token_expires_in - passedS} />
      </dl>
      {problem && <ProblemNote problem={problem} onRetry={load} />}
      <h3>Devices</h3>
      <ul className="devices">
        {devices.map((device) => (
          <li key={device.id}>
            <span className="grow">
              {nameDevice(device.user_agent)}
              {device.current && <span className="badge">this one</span>}
              <span className="fine block">
                {device.ip} · since {new Date(device.created_at).toLocaleTimeString('en-GB')}
              </span>
            </span>
            <button type="button" onClick={() => end(device)}>
              End<span className="unseen"> the session of {nameDevice(device.user_agent)}</span>
            </button>
          </li>
        ))}
      </ul>
      <p role="status" className="fine">
        {message}
      </p>
    </section>
  );
}

function Time({ name, seconds }: { readonly name: string; readonly seconds: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{sayDuration(seconds)}</dd>
    </div>
  );
}
