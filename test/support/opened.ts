import type { ML4TOrchestrator } from '../../src/orchestrator.js';

const opened: ML4TOrchestrator[] = [];

/** Remembers an orchestrator for {@link stopAll}: one that a failed test leaves behind would keep the process alive. */
export function remembered(orchestrator: ML4TOrchestrator): ML4TOrchestrator {
  opened.push(orchestrator);
  return orchestrator;
}

/** For `test.after.each`. */
export async function stopAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((orchestrator) => orchestrator.stop()));
}
