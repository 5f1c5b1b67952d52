/** Programmer errors stop here: state the rule that must hold, not the failure. */
export function invariant(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${rule}`);
}

/** Ends a switch over a discriminated union, so that a new case breaks the build wherever it is not handled yet. */
export function unreachable(value: never): never {
  throw new Error(`invariant broken: unhandled case ${JSON.stringify(value)}`);
}
