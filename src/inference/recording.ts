/** What becomes of an answer on disk. */
export interface Recording {
  /** Resolves when everything recorded so far is durable; rejects when it never will be. */
  readonly recorded: Promise<void>;
}
