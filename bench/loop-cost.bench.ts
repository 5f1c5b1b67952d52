// What does following, watching and storing every answer add to the synchronous call, and does everything keep up with 1,000 signals a second?
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { EnrichedSignalEvent } from '../src/market/events.js';
import { barsOf, HISTORY_BARS, type Rig, startRig, trainedBundle } from './fixture.js';
import { checkAnswer, latencyHistogram, lower, median, nowNs, report, SMOKE, told } from './measure.js';

const TREES = SMOKE ? 10 : 100;
const INSTRUMENTS = SMOKE ? 20 : 100;
/** Alternated between the two, so that what the machine does meanwhile falls on both. */
const ROUNDS = SMOKE ? 3 : 41;
const CALLS = SMOKE ? 200 : 2000;
/** A turn of the event loop after so many, as a program that lives has. */
const CALLS_PER_TURN = 20;
const RATE = 1000;
const SECONDS = SMOKE ? 0.2 : 10;
/** The default. */
const HORIZON_BARS = 10;
const MINUTE_NS = 60_000_000_000n;

const dataDir = mkdtempSync(join(tmpdir(), 'ml4t-loop-cost-'));
const model = await trainedBundle(TREES);
const common = { dispatch: 'inline', retrain: { mode: 'manual' } } as const;
const plain = await startRig(common, model, INSTRUMENTS);
const closed = await startRig({ ...common, dataDir }, model, INSTRUMENTS);
let serial = 0;

function bits({ metaConfidence, regimeWeight, toxicity, size }: EnrichedSignalEvent): string {
  return `${metaConfidence} ${regimeWeight} ${toxicity} ${size}`;
}

/** p50 of the call, in ns; the answers are kept from being optimised away. */
async function p50Of({ orchestrator, signal }: Rig): Promise<{ p50: number; checksum: number }> {
  const histogram = latencyHistogram();
  let checksum = 0;
  for (let k = 0; k < CALLS; k++) {
    const event = { ...signal(k), signalId: `c${serial++}` };
    const start = nowNs();
    const answer = orchestrator.processSignalSync(event);
    histogram.recordValue(Math.max(1, nowNs() - start));
    checksum += answer.metaConfidence;
    if (k % CALLS_PER_TURN === 0) await nextTurn();
  }
  // The disk is not what is measured.
  while ((orchestrator.stateMetrics?.stagedCount ?? 0) > 0) await pause(1);
  return { p50: histogram.getValueAtPercentile(50), checksum };
}

for (let k = 0; k < 2 * INSTRUMENTS; k++) {
  const [one, other] = [plain, closed].map(({ orchestrator, signal }) =>
    bits(orchestrator.processSignalSync(signal(k))),
  );
  checkAnswer(one === other, 'the closed loop changes no answer');
}

let checksum = 0;
const ratios: number[] = [];
const times: [number[], number[]] = [[], []];
await p50Of(plain);
await p50Of(closed);
for (let round = 0; round < ROUNDS; round++) {
  const order = round % 2 === 0 ? [plain, closed] : [closed, plain];
  const results = new Map<Rig, { p50: number; checksum: number }>();
  for (const rig of order) results.set(rig, await p50Of(rig));
  const [without, within] = [results.get(plain)!, results.get(closed)!];
  checkAnswer(without.checksum === within.checksum, 'both answer the same');
  checksum += within.checksum;
  times[0].push(without.p50);
  times[1].push(within.p50);
  ratios.push(within.p50 / without.p50);
}

/** 1,000 signals a second with bars coming in, so that signals are followed, close and are watched. */
const { orchestrator } = closed;
const lag = latencyHistogram();
const answers: Promise<void>[] = [];
let outcomes = 0;
orchestrator.events.on('outcomeResolved', () => void outcomes++);
const count = Math.round(RATE * SECONDS);
let bar = 0;
// The signals of the calls above end here, all at once.
while (bar <= HORIZON_BARS) addBars(++bar);
while (orchestrator.stateMetrics!.stagedCount > 0) await pause(1);
outcomes = 0;
const startNs = nowNs();
let stagedMax = 0;
for (let sent = 0; sent < count; ) {
  const due = Math.min(count, Math.floor(((nowNs() - startNs) / 1e9) * RATE));
  for (; sent < due; sent++) {
    if (sent % INSTRUMENTS === 0) addBars(++bar);
    const signalNs = nowNs();
    const event = { ...closed.signal(sent), timestamp: barTime(bar), signalId: `r${sent}` };
    const answer = orchestrator.processSignalSync(event);
    answers.push(answer.recorded.then(() => lag.recordValue(Math.max(1, nowNs() - signalNs))));
  }
  stagedMax = Math.max(stagedMax, orchestrator.stateMetrics!.stagedCount);
  await nextTurn();
}
await Promise.all(answers);
const tookS = (nowNs() - startNs) / 1e9;
checkAnswer(lag.totalCount === count, 'every answer was recorded');
checkAnswer(SMOKE || outcomes > 0, 'signals were followed to their end');
await plain.orchestrator.stop();
await orchestrator.stop();
rmSync(dataDir, { recursive: true });

function barTime(index: number): bigint {
  return barsOf(0)[HISTORY_BARS - 1]!.tsEventNs + BigInt(index) * MINUTE_NS;
}

function addBars(index: number): void {
  for (let k = 0; k < INSTRUMENTS; k++) {
    const history = barsOf(k);
    // Back and forth over the history: prices have no gaps.
    const place = Math.abs(((index + HISTORY_BARS - 1) % (2 * HISTORY_BARS - 2)) - (HISTORY_BARS - 1));
    orchestrator.addBar(`I${k}`, { ...history[HISTORY_BARS - 1 - place]!, tsEventNs: barTime(index) });
  }
}

report(
  'loop-cost',
  `${INSTRUMENTS} instruments, ${TREES} trees, ${ROUNDS} rounds of ${CALLS} calls; then ${RATE}/s for ${SECONDS} s`,
  checksum,
  {
    'synchronous call without, p50': lower(median(times[0]) / 1000, 'us'),
    'synchronous call with dataDir, p50': lower(median(times[1]) / 1000, 'us'),
    'with over without, p50': lower(median(ratios), 'x', 0.1),
    [`${RATE}/s, signals recorded per second`]: told(count / tookS, '/s'),
    [`${RATE}/s, answer until recorded, p50`]: lower(lag.getValueAtPercentile(50) / 1e6, 'ms', 1),
    [`${RATE}/s, answer until recorded, p99`]: told(lag.getValueAtPercentile(99) / 1e6, 'ms'),
    [`${RATE}/s, answer until recorded, max`]: told(lag.maxValue / 1e6, 'ms'),
    [`${RATE}/s, most that waited for the disk`]: told(stagedMax, 'records'),
  },
);
