import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { OrchestratorError } from '../../src/errors.js';
import { seededUniform } from '../../src/random.js';
import { openWired, stateBar, stateOutcome, stateSignal, type Wired } from './state.js';

/*
 * Opens copies of a store that were damaged at random, reads all of them and writes on, in a process of its own, since LMDB ends the process when it is led astray. Prints, as JSON,
 * how often each end was met. Arguments: directory of the
 * store, what is done to the copy ('cut', 'flip', or 'head' to change a byte of a page's first 24), seed, rounds.
 */
const [sourceDir, kind, seed, rounds] = process.argv.slice(2) as [string, 'cut' | 'flip' | 'head', string, string];
const random = seededUniform(Number(seed));
const source = join(sourceDir, 'data.mdb');
const ends: Record<string, number> = {};

function damage(path: string): string {
  const bytes = readFileSync(path);
  const anywhere = Math.floor(random() * bytes.length);
  const at = kind === 'head' ? anywhere - (anywhere % 4096) + Math.floor(24 * random()) : anywhere;
  if (kind === 'cut') writeFileSync(path, bytes.subarray(0, at));
  else {
    const old = bytes[at]!;
    bytes[at] = old ^ (1 + Math.floor(random() * 255));
    writeFileSync(path, bytes);
  }
  return `${kind} at ${at}`;
}

/** Everything that was written, or an error: nothing else may come out. */
function readAll({ store }: Wired<{ count: number }>): void {
  const { stored, snapshot } = store;
  const count = snapshot?.count ?? 0;
  let next = 0;
  for (const signal of stored.signals()) expect(isDeepStrictEqual(signal, stateSignal(next++)), 'signal');
  let nextOutcome = 0;
  for (const outcome of stored.outcomes()) expect(isDeepStrictEqual(outcome, stateOutcome(nextOutcome++)), 'outcome');
  let bar = 0;
  for (const bars of stored.bars('X')) {
    for (const close of bars.columns.close) expect(close === stateBar(bar++).close, 'bar');
  }
  if (next !== count || nextOutcome !== Math.max(0, count - 5) || bar !== count)
    ends.incomplete = (ends.incomplete ?? 0) + 1;
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`a wrong ${what} was read`);
}

async function round(dataDir: string): Promise<string> {
  let opened: Wired<{ count: number }> | null = null;
  try {
    let count = 0;
    opened = await openWired<{ count: number }>(dataDir, () => ({ count }));
    count = opened.store.snapshot?.count ?? 0;
    opened.store.restoreWindows();
    readAll(opened);
    for (let k = 0; k < 300; k++, count++) {
      opened.features.append('X', stateBar(count));
      opened.journal.signal(stateSignal(count));
      if (k % 100 === 0) await opened.journal.staged.recorded;
    }
    await opened.journal.flush();
    return 'opened';
  } catch (error) {
    if (error instanceof OrchestratorError) return error.code;
    throw error;
  } finally {
    await opened?.store.close().catch((error: OrchestratorError) => {
      ends[error.code] = (ends[error.code] ?? 0) + 1;
    });
  }
}

for (let k = 0; k < Number(rounds); k++) {
  const dataDir = join(sourceDir, `copy-${k}`);
  mkdirSync(dataDir);
  copyFileSync(source, join(dataDir, 'data.mdb'));
  const what = damage(join(dataDir, 'data.mdb'));
  // The last line before a crash says what led to it.
  process.stderr.write(`${what}\n`);
  const end = await round(dataDir);
  ends[end] = (ends[end] ?? 0) + 1;
  rmSync(dataDir, { recursive: true });
}
console.log(JSON.stringify(ends));
