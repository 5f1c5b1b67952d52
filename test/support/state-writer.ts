import { writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { seededUniform } from '../../src/random.js';
import { openWired, stateBar, stateOutcome, stateSignal } from './state.js';

/*
 * Writes until it is killed: bar k, signal k and outcome k − 5 always together, a random number of them in one turn of the event loop. Prints how many it goes on from, and how many are
 * on disk each time it hears so. Arguments: directory, seed, bars in a turn at most, 'hold' to only keep the directory.
 */
const [dataDir, seed, batchMax, mode] = process.argv.slice(2) as [string, string, string, string | undefined];
const random = seededUniform(Number(seed));
let count = 0;

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

const { features, store, journal } = await openWired(dataDir, () => ({ count }));
count = store.snapshot?.count ?? 0;
store.restoreWindows();
say(`open ${count}`);
if (mode === 'hold') setInterval(() => undefined, 1000);
else {
  for (;;) {
    for (let left = 1 + Math.floor(random() * Number(batchMax)); left > 0; left--) {
      features.append('X', stateBar(count));
      journal.signal(stateSignal(count));
      if (count >= 5) journal.outcome(stateOutcome(count - 5));
      count++;
    }
    const promised = count;
    void journal.staged.recorded.then(() => say(`recorded ${promised}`));
    if (random() < 0.5) await journal.staged.recorded;
    else await turn();
    if (journal.isBehind) await journal.flush();
  }
}
