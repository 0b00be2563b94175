// The demo's state and activity as React values.
import { useCallback, useEffect, useState } from 'react';
import { type Activity, changeDemo, type DemoState, readDemoState } from './demo.ts';

export interface Demo {
  /** Undefined where this page is not the demo's. */
  readonly state: DemoState | undefined;
  readonly activity: readonly Activity[];
  readonly problem: string | undefined;
  change(path: string, change?: Readonly<Record<string, unknown>>): Promise<void>;
}

const MOST_LINES = 60;

export function useDemo(): Demo {
  const [state, setState] = useState<DemoState>();
  const [activity, setActivity] = useState<readonly Activity[]>([]);
  const [problem, setProblem] = useState<string>();
  const isDemo = state !== undefined;

  useEffect(() => void readDemoState().then(setState), []);
  useEffect(() => {
    if (!isDemo) return;
    let source: EventSource | undefined;
    // A tab that nobody sees gives its connection back: a browser has six for all tabs together.
    const follow = () => {
      source?.close();
      if (document.visibilityState === 'hidden') return;
      source = new EventSource('/demo/activity');
      source.onopen = () => setActivity([]);
      source.onmessage = ({ data }) => {
        const line = JSON.parse(data) as Activity;
        setActivity((old) => [line, ...old].slice(0, MOST_LINES));
      };
    };
    follow();
    document.addEventListener('visibilitychange', follow);
    return () => {
      document.removeEventListener('visibilitychange', follow);
      source?.close();
    };
  }, [isDemo]);

  const change = useCallback(async (path: string, what?: Readonly<Record<string, unknown>>) => {
    try {
      setState(await changeDemo(path, what));
      setProblem(undefined);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  }, []);
  return { state, activity, problem, change };
}
