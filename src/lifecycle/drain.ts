/** Whether the process still takes work. One-way: a drain that began does not end. */
export interface Drain {
  isDraining(): boolean;
  begin(): void;
}

export function createDrain(): Drain {
  let draining = false;
  return {
    isDraining: () => draining,
    begin: () => {
      draining = true;
    },
  };
}
