// One problem on the screen, told to screen readers at once, with a way to try again when that makes sense.
import { useEffect, useState } from 'react';
import { sayDuration } from './durations.ts';
import type { Problem } from './problem.ts';

interface ProblemNoteProps {
  readonly problem: Problem;
  readonly onRetry?: () => void;
}

export function ProblemNote({ problem, onRetry }: ProblemNoteProps) {
  const waitS = useCountdown(problem);
  return (
    <div className="note problem" role="alert">
      <p>
        <strong>{problem.title}.</strong> {problem.detail}
      </p>
      <p className="fine">
        <code>{problem.code}</code>
        {problem.requestId && <span> · request {problem.requestId}</span>}
      </p>
      {/* Not part of the alert: a screen reader would read out every second. */}
      {onRetry && (
        <button type="button" onClick={onRetry} disabled={waitS > 0}>
          {waitS > 0 ? <span aria-live="off">Try again in {sayDuration(waitS)}</span> : 'Try again'}
        </button>
      )}
    </div>
  );
}

/** Whole seconds until another try makes sense; 0 where nothing stands against one. */
export function useCountdown(problem: Problem | undefined): number {
  const [leftS, setLeftS] = useState(0);
  useEffect(() => {
    const endsAt = performance.now() + (problem?.retryAfterS ?? 0) * 1_000;
    const update = () => setLeftS(Math.max(0, Math.ceil((endsAt - performance.now()) / 1_000)));
    update();
    const timer = setInterval(update, 250);
    return () => clearInterval(timer);
  }, [problem]);
  return leftS;
}
