import { setTimeout as pause } from 'node:timers/promises';

/** Far longer than anything waited for takes, on any machine. */
const LIMIT_MS = 60_000;

/** Resolves once the condition holds; fails, naming what was waited for, when it never does. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(1);
  }
}
