import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { OrchestratorError } from '../../src/errors.js';
import { capturedLog } from './captured-log.js';
import { openWired, stateBar, stateOutcome, stateSignal } from './state.js';

/*
 * Runs with a limit on the size of its files. Writes until a commit fails, goes on staging until the journal is behind, and says so; then does what it reads: 'flush' or 'close'.
 * Prints what came of it. Argument: directory.
 */
const [dataDir] = process.argv.slice(2) as [string];
const { logger, lines } = capturedLog();
let count = 0;
const { features, store, journal } = await openWired(dataDir, () => ({ count }), { stagedBytesMax: 400_000, logger });

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function step(): void {
  features.append('X', stateBar(count));
  journal.signal(stateSignal(count));
  if (count >= 5) journal.outcome(stateOutcome(count - 5));
  count++;
}

while (store.metrics().failingSinceNs === null) {
  for (let k = 0; k < 50; k++) step();
  await turn();
}
let isRecorded = false;
journal.staged.recorded.then(
  () => {
    isRecorded = true;
  },
  (error: OrchestratorError) => say(`rejected ${error.code}`),
);
while (!journal.isBehind) step();
say(`failing ${count} ${store.metrics().errorCode} ${isRecorded}`);
const [request] = (await once(process.stdin, 'data')) as [Buffer];
try {
  if (request.toString().startsWith('flush')) await journal.flush();
  await store.close();
  say(`done ${count} ${isRecorded}`);
} catch (error) {
  say(`done ${(error as OrchestratorError).code}`);
}
say(`log ${lines.map(({ level }) => level).join(' ')}`);
process.stdin.destroy();
