import { SwapDrill } from '../support/swap-drill.js';

/**
 * A long run of what test/laws/swap.test.ts checks: a million signals under continuous swaps, then ten thousand swaps more with the process's memory sampled.
 * `node --expose-gc dist/test/soak/swap.js`; exits 1 on any violation.
 */
const SIGNALS = 1_000_000;
const SWAPS = 5000;
const MORE_SWAPS = 10_000;
const SAMPLE_EVERY = 500;
/** Growth over the last half of the swaps that no longer is noise of the collector. */
const GROWTH_MB_MAX = 32;

function rssMb(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 2 ** 20;
}

const drill = await SwapDrill.open({ dispatch: 'auto', workers: 2 });
const first = await drill.run(SIGNALS, SWAPS);
console.log(first);
const startMb = rssMb();
const samples: number[] = [];
const second = await drill.run(MORE_SWAPS * 10, MORE_SWAPS, (done) => {
  if (done % SAMPLE_EVERY === 0) samples.push(rssMb());
});
console.log(second);
console.log(`RSS ${startMb.toFixed(0)} MB, then ${samples.map((mb) => mb.toFixed(0)).join(' ')} MB`);
await drill.orchestrator.stop();

const violations = [first, second].flatMap(
  ({ signals: _signals, swaps: _swaps, generations: _generations, ...wrong }) =>
    Object.entries(wrong).filter(([, count]) => count > 0),
);
const growthMb = samples.at(-1)! - samples[samples.length >> 1]!;
if (growthMb > GROWTH_MB_MAX) violations.push(['RSS growth', growthMb]);
console.log(violations.length === 0 ? 'no violation' : violations);
process.exitCode = violations.length === 0 ? 0 : 1;
