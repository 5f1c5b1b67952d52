import { parseArgs } from 'node:util';
import { runCrashDrill } from '../support/crash-drill.js';

/**
 * Kills a busy process with -9 at random instants, and fails if anything it had acknowledged is gone, or anything stored is not what an uninterrupted run stores.
 * `node dist/test/soak/crash.js [--kills 200] [--minutes 600] [--seed n]`
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    minutes: { type: 'string', default: '600' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const [kills, minutes, seed] = [Number(values.kills), Number(values.minutes), Number(values.seed)];
console.log(`soak crash: ${kills} kills, ${minutes} minutes an input, seed ${seed}`);
const startMs = performance.now();
const { killed, violations, ...figures } = await runCrashDrill({
  ...{ kills, minutes, seed },
  onKill: (count, when) => {
    if (count % 20 === 0) console.log(`kill ${count} of ${kills}: ${when}, ${seconds()} s`);
  },
});
for (const [name, value] of Object.entries({ ...figures, ...killed })) console.log(`${name}: ${value}`);
console.log(`seconds: ${seconds()}`);
for (const violation of violations.slice(0, 20)) console.log(violation.slice(0, 4000));
console.log(
  violations.length === 0
    ? 'nothing lost, doubled or different'
    : `FAILED: ${violations.length} violations (seed ${seed})`,
);
process.exitCode = violations.length === 0 ? 0 : 1;

function seconds(): string {
  return ((performance.now() - startMs) / 1000).toFixed(1);
}
