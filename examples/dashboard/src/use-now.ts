// The passing of time as a React value.
import { useEffect, useState } from 'react';

/** Milliseconds of the page's own clock, anew every second. It stands still for nobody's change of the system's time. */
export function useNow(): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
