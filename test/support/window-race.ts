/** Words that a racing reader and the test share. */
export const WindowRace = { accepted: 0, torn: 1, controlTorn: 2, stop: 3, words: 4 } as const;
