// Does `auto` keep main's share of evaluating under its bound when signals pour in, and what does an idle system cost?
import { setTimeout as pause } from 'node:timers/promises';
import { startRig, trainedBundle } from './fixture.js';
import { oneInFlight, poissonLoad } from './load.js';
import { checkAnswer, type Figure, lower, median, quantileFigures, report, SMOKE, told } from './measure.js';

const INSTRUMENTS = SMOKE ? 50 : 1000;
const RATES = [30_000, 60_000];
const SECONDS = SMOKE ? 0.02 : 2;
const IDLE_MS = SMOKE ? 100 : 5_000;
const SAMPLE_MS = 5;

const rig = await startRig({ dispatch: 'auto', workers: 1 }, await trainedBundle(SMOKE ? 10 : 100), INSTRUMENTS);
await oneInFlight(rig, SMOKE ? 500 : 20_000);
await poissonLoad(rig, RATES[0]!, RATES[0]! * SECONDS, 0);
const { inlineShareMax } = rig.orchestrator.config;
let checksum = 0;
const figures: Record<string, Figure> = {};
for (const rate of RATES) {
  const before = rig.orchestrator.dispatchMetrics;
  const shares: number[] = [];
  const sampling = setInterval(() => shares.push(rig.orchestrator.dispatchMetrics.inlineShare), SAMPLE_MS);
  const load = await poissonLoad(rig, rate, rate * SECONDS, rate);
  clearInterval(sampling);
  checksum += load.checksum;
  const after = rig.orchestrator.dispatchMetrics;
  // A single pause of the machine inside an evaluation is a share of its own: the median sample is what routing decides.
  shares.push(rig.orchestrator.dispatchMetrics.inlineShare);
  const share = median(shares);
  checkAnswer(share <= inlineShareMax, `main evaluated ${share} of its time`);
  figures[`${rate}/s, inline share of main`] = told(share, '');
  figures[`${rate}/s, largest inline share in 10 ms`] = told(Math.max(0, ...shares), '');
  figures[`${rate}/s, evaluated inline`] = told((after.inline - before.inline) / load.answered, '');
  Object.assign(figures, quantileFigures(`${rate}/s`, load.latency));
}
const { wakeUpNs, evaluationNs } = rig.orchestrator.dispatchMetrics;
figures['wake-up, as measured'] = told(wakeUpNs / 1000, 'us');
figures['evaluation, as measured'] = told(evaluationNs / 1000, 'us');
const start = process.cpuUsage();
await pause(IDLE_MS);
const { user, system } = process.cpuUsage(start);
figures['idle, share of a core'] = lower((user + system) / 1000 / IDLE_MS, '', 1);
report(
  'routing, auto',
  `Poisson, ${INSTRUMENTS} instruments, 1 worker, inlineShareMax ${inlineShareMax}`,
  checksum,
  figures,
);
await rig.orchestrator.stop();
