import { parseArgs } from 'node:util';
import { encodeBundle } from '../src/model/bundle-codec.js';
import { instrumentNames, knowing, startRig, trainedBundle } from './fixture.js';
import { poissonLoad } from './load.js';

/**
 * `npm run bench:soak -- [--minutes 10]`: does memory grow in service? 20,000 signals and a new model every second; prints the resident
 * memory every half minute and exits 1 if it has grown since the system was warm.
 */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
const INSTRUMENTS = 200;
const PER_SECOND = 20_000;
const STRETCH_SECONDS = 30;
const WARM_STRETCHES = 4;
const GROWTH_MIB_MAX = 16;

const model = await trainedBundle(100);
const rig = await startRig({ dispatch: 'auto', inferenceTimeoutMs: 10_000 }, model, INSTRUMENTS);
const names = instrumentNames(INSTRUMENTS);
const files = [1, 2].map((seed) => encodeBundle({ ...knowing(model, names), seed }));
const residents: number[] = [];
for (let stretch = 0; stretch * STRETCH_SECONDS < Number(values.minutes) * 60; stretch++) {
  const swapping = setInterval(() => void rig.orchestrator.hotSwapModel(files[stretch % 2]!), 1000);
  await poissonLoad(rig, PER_SECOND, PER_SECOND * STRETCH_SECONDS, stretch);
  clearInterval(swapping);
  globalThis.gc?.();
  residents.push(process.memoryUsage.rss() / 2 ** 20);
  console.log(`${(stretch + 1) * STRETCH_SECONDS} s: ${residents.at(-1)!.toFixed(1)} MiB resident`);
}
await rig.orchestrator.stop();
const warm = residents.slice(WARM_STRETCHES);
if (warm.length < 2) {
  console.error(`nothing to compare: at least ${((WARM_STRETCHES + 2) * STRETCH_SECONDS) / 60} minutes`);
  process.exit(2);
}
const half = warm.length >> 1;
const growth = Math.min(...warm.slice(half)) - Math.min(...warm.slice(0, half));
console.log(`growth between the two halves of the warm time: ${growth.toFixed(1)} MiB`);
process.exitCode = growth > GROWTH_MIB_MAX ? 1 : 0;
