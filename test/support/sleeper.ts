/** Words that a sleeping worker and the test share; `timedOut` is the last round that a control slept through. */
export const SleeperWord = { round: 0, parked: 1, released: 2, awake: 3, model: 4, timedOut: 5, words: 6 } as const;

/** How a worker goes to sleep: as the ring's consumer does, or waiting on TAIL, or having read WAKE only after its last look. */
export type SleepVariant = 'wake' | 'tail' | 'late';
