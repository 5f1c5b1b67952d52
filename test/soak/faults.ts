import { parseArgs } from 'node:util';
import { faultyFigures, runFaultLoad } from '../support/fault-load.js';
import { type FaultKind, REQUEST_FAULTS, THREAD_FAULTS } from '../support/faults.js';
import { seededRandom } from '../support/market.js';
import { ReferenceAnswers, twoBundles } from '../support/reference-answers.js';

/**
 * Breaks inference threads in random ways under continuous load, and fails if a signal was lost, doubled or wrongly answered, or a worker did not come back.
 * `node dist/test/soak/faults.js [--kills 200] [--seed n] [--workers 2]`
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    workers: { type: 'string', default: '2' },
  },
});
const [kills, seed, workers] = [Number(values.kills), Number(values.seed), Number(values.workers)];
const SIGNALS_PER_KILL = 1000;
/** Shorter than some threads take to use up their memory: then the watchdog ends them, which is as good. */
const HANG_MS = 1000;

const random = seededRandom(seed);
const all: FaultKind[] = [...REQUEST_FAULTS.filter((kind) => kind !== 'hold'), ...THREAD_FAULTS];
const kinds = Array.from({ length: kills }, () => all[Math.floor(random() * all.length)]!);
console.log(`soak faults: ${kills} kills, ${workers} workers, seed ${seed}`);
const bundles = await twoBundles();
const reference = await ReferenceAnswers.start(bundles);
const startMs = performance.now();
const figures = await runFaultLoad({
  workers,
  signals: kills * SIGNALS_PER_KILL,
  kinds,
  workerHangMs: HANG_MS,
  seed,
  bundles,
  reference,
  onFault: (kind, count) => {
    if (count % 20 === 0) console.log(`kill ${count} of ${kills}: ${kind}, ${seconds()} s`);
  },
});
await reference.stop();
for (const [name, value] of Object.entries(figures)) console.log(`${name}: ${value}`);
console.log(`seconds: ${seconds()}`);
const faulty = faultyFigures(figures);
if (figures.faults !== kills || figures.restarts < kills) faulty.push('faults');
console.log(faulty.length === 0 ? 'nothing lost, doubled or wrong' : `FAILED: ${faulty.join(', ')} (seed ${seed})`);
process.exitCode = faulty.length === 0 ? 0 : 1;

function seconds(): string {
  return ((performance.now() - startMs) / 1000).toFixed(1);
}
