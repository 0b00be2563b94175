// The demo's own controls behind this page: what the simulated Finvera and the Redis are made to do. Absent elsewhere.

export const FAULTS = ['slow', 'error', 'limited', 'down'] as const;
export type FaultName = (typeof FAULTS)[number];

export interface DemoState {
  readonly faults: readonly FaultName[];
  readonly redis: 'running' | 'stopped' | 'absent';
}

/** One line of what happened behind the page. */
export interface Activity {
  readonly id: number;
  readonly from: 'gateway' | 'finvera' | 'demo';
  readonly text: string;
}

/** @returns undefined where this page is not the demo's. */
export async function readDemoState(): Promise<DemoState | undefined> {
  try {
    const response = await fetch('/demo/state', { headers: { Accept: 'application/json' } });
    return response.ok ? ((await response.json()) as DemoState) : undefined;
  } catch {
    return undefined;
  }
}

/** @returns the state afterwards. */
export async function changeDemo(path: string, change: Readonly<Record<string, unknown>> = {}): Promise<DemoState> {
  const response = await fetch(`/demo/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(change),
  });
  if (!response.ok) throw new Error(`The demo's control answered ${response.status}.`);
  return (await response.json()) as DemoState;
}
