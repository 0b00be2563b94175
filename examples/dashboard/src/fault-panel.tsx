// Trouble on demand: makes the simulated Finvera and the Redis fail, and shows what the gateway makes of it.
import { useId, useState } from 'react';
import type { FaultName } from './demo.ts';
import { eventsPath, getJson } from './finvera.ts';
import type { GatewayClient } from './gateway.ts';
import { type Demo, useDemo } from './use-demo.ts';

const FAULT_TEXTS: Readonly<Record<FaultName, readonly [name: string, effect: string]>> = {
  slow: ['Finvera is slow', 'every answer takes two seconds more'],
  error: ['Finvera answers 500', 'passed on as it is; nobody is logged out'],
  limited: ['Finvera answers 429', 'remembered: the gateway answers by itself until the pause is over'],
  down: ['Finvera is down', 'after a few failures the gateway no longer asks for a while'],
};
const AT_ONCE = 20;

export function FaultPanel({ client }: { readonly client: GatewayClient }) {
  const demo = useDemo();
  if (!demo.state) return null;
  const { faults, redis } = demo.state;
  return (
    <section className="card" aria-labelledby="faults-title">
      <h2 id="faults-title">Trouble on demand</h2>
      <ul className="switches">
        {(Object.keys(FAULT_TEXTS) as FaultName[]).map((name) => (
          <Switch
            key={name}
            texts={FAULT_TEXTS[name]}
            isOn={faults.includes(name)}
            onChange={(active) => demo.change(`faults/${name}`, { active })}
          />
        ))}
        {redis !== 'absent' && (
          <Switch
            texts={['Redis is stopped', 'no session can be read: 503, and nobody is logged out']}
            isOn={redis === 'stopped'}
            onChange={(stopped) => demo.change('redis', { running: !stopped })}
          />
        )}
      </ul>
      <div className="row">
        <button type="button" onClick={() => demo.change('revoke/access')}>
          Revoke the token
        </button>
        <button type="button" onClick={() => demo.change('revoke/refresh')}>
          Revoke the whole login
        </button>
        <button type="button" onClick={() => demo.change('streams/drop')}>
          Cut the stream
        </button>
      </div>
      <p role="alert" className="fine">
        {demo.problem}
      </p>
      <Trial client={client} />
      <ActivityLog lines={demo.activity} />
    </section>
  );
}

interface SwitchProps {
  readonly texts: readonly [name: string, effect: string];
  readonly isOn: boolean;
  onChange(isOn: boolean): void;
}

function Switch({ texts: [name, effect], isOn, onChange }: SwitchProps) {
  const id = useId();
  return (
    <li>
      <input
        id={id}
        type="checkbox"
        checked={isOn}
        onChange={(event) => onChange(event.target.checked)}
        aria-describedby={`${id}-effect`}
      />
      <span>
        <label htmlFor={id}>{name}</label>
        <span id={`${id}-effect`} className="fine block">
          {effect}
        </span>
      </span>
    </li>
  );
}

/** One call, or many at the same moment: after a revoked token, many find it dead, and one renewal serves them all. */
function Trial({ client }: { readonly client: GatewayClient }) {
  const [result, setResult] = useState('');
  const attempt = async (count: number) => {
    setResult(count === 1 ? 'Calling…' : `Calling ${count} times…`);
    const startedAt = performance.now();
    const outcomes = await Promise.all(
      Array.from({ length: count }, () => getJson(client, eventsPath({ limit: '1' }))),
    );
    const tookMs = Math.round(performance.now() - startedAt);
    const failed = outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.problem] : []));
    const good = `${count - failed.length} of ${count} well`;
    const [first] = failed;
    setResult(`${good}, ${tookMs} ms${first ? ` — ${first.title} (${first.code})` : ''}`);
  };
  return (
    <>
      <div className="row">
        <button type="button" onClick={() => attempt(1)}>
          Call once
        </button>
        <button type="button" onClick={() => attempt(AT_ONCE)}>
          Call {AT_ONCE} times at once
        </button>
      </div>
      <p role="status" className="result">
        {result}
      </p>
    </>
  );
}

function ActivityLog({ lines }: { readonly lines: Demo['activity'] }) {
  return (
    <>
      <h3 id="activity-title">Behind this page</h3>
      {/* Scrolls, and so must be reachable by keyboard. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: as said above. */}
      <ol className="activity" aria-labelledby="activity-title" tabIndex={0}>
        {lines.map(({ id, from, text }) => (
          <li key={id} className={from}>
            <span className="from">{from}</span> {text}
          </li>
        ))}
      </ol>
    </>
  );
}
