/** One promise per key in this process: who comes while it runs joins it. It remembers nothing afterwards. */
export interface SingleFlight<T> {
  /** Runs `work`, or joins the run under way for this key. */
  run(key: string, work: () => Promise<T>): Promise<T>;
  isRunning(key: string): boolean;
  /** Resolves when nothing runs any more. */
  settled(): Promise<void>;
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<T>>();
  return {
    run(key, work) {
      const running = flights.get(key);
      if (running) return running;
      const flight = work().finally(() => {
        // Only its own entry: a later flight under the same key stays.
        if (flights.get(key) === flight) flights.delete(key);
      });
      flights.set(key, flight);
      return flight;
    },
    isRunning: (key) => flights.has(key),
    async settled() {
      while (flights.size > 0) await Promise.allSettled(flights.values());
    },
  };
}
