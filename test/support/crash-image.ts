import { cpSync } from 'node:fs';
import type { OpenedLoop } from '../../src/loop/open-loop.js';
import type { ML4TOrchestrator } from '../../src/orchestrator.js';

/** The orchestrator's inside, for tests that look at what it would store. */
export function insideOf(orchestrator: ML4TOrchestrator): OpenedLoop {
  return (orchestrator as unknown as { readonly opened: OpenedLoop }).opened;
}

/** What a process killed now would leave under its data directory: a copy of it, with everything accepted so far on disk and no commit in flight. */
export async function crashImage(orchestrator: ML4TOrchestrator, dataDir: string, image: string): Promise<string> {
  const { loop, state } = insideOf(orchestrator);
  loop.book.enterAll();
  await state!.journal.flush();
  cpSync(dataDir, image, { recursive: true, filter: (path) => !path.endsWith('lock.mdb') });
  return image;
}
