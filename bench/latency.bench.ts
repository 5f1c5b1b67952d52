// How long after it was due does a signal have its answer, alone, under load, in bursts, while models swap and while one trains?
import { setTimeout as pause } from 'node:timers/promises';
import { ServedModel } from '../src/inference/served-model.js';
import { GOLDEN_ROW_COUNT } from '../src/model/bundle.js';
import { encodeBundle } from '../src/model/bundle-codec.js';
import { primarySides } from '../src/primary/primary-signal.js';
import { simulateMarket } from '../src/simulation/simulated-market.js';
import { instrumentNames, knowing, type Rig, startRig, trainedBundle } from './fixture.js';
import { callNow, oneInFlight, poissonLoad, share, shareOf, synchronous } from './load.js';
import {
  checkAnswer,
  type Figure,
  latencyHistogram,
  lower,
  median,
  nowNs,
  quantileFigures,
  report,
  SMOKE,
  told,
} from './measure.js';
import { comlinkPeer, type Peer, peerRequest, piscinaPeer } from './peers.js';

const TREES = SMOKE ? 10 : 100;
const INSTRUMENTS = SMOKE ? 50 : 1000;
const SIGNALS = SMOKE ? 500 : 20_000;
const PEER_SIGNALS = SMOKE ? 100 : 5_000;
const RATES = [1_000, 10_000, 30_000];
const LOAD_SECONDS = SMOKE ? 0.05 : 2;
const BURSTS = SMOKE ? 3 : 30;
const ROUNDS = SMOKE ? 1 : 5;
const SWAP_EVERY_MS = 100;
const SWAP_INSTRUMENTS = 50;
const TRAINING_BARS = SMOKE ? 1_500 : 30_000;

const model = await trainedBundle(TREES);

for (const dispatch of ['auto', 'inline', 'pool'] as const) {
  const rig = await startRig({ dispatch, workers: 1 }, model, INSTRUMENTS);
  await oneInFlight(rig, SIGNALS);
  const floor = synchronous(rig, SIGNALS);
  const alone = await oneInFlight(rig, SIGNALS);
  checkAnswer(alone.checksum === floor.checksum, 'every path computes the same');
  const floorP50 = floor.latency.getValueAtPercentile(50);
  const figures: Record<string, Figure> = {
    'bare scorer, of that': told(bareScorerUs(), 'us'),
    ...quantileFigures('synchronous call', floor.latency),
    ...quantileFigures('1 in flight', alone.latency),
    '1 in flight over synchronous, p50': lower(alone.latency.getValueAtPercentile(50) / floorP50, 'x'),
  };
  for (const rate of RATES) {
    const { latency } = await poissonLoad(rig, rate, rate * LOAD_SECONDS, rate);
    Object.assign(figures, quantileFigures(`${rate}/s`, latency));
  }
  Object.assign(figures, await overFloor(rig, floorP50), await bursts(rig), await duringTraining(rig));
  report(
    `latency, ${dispatch}`,
    `${INSTRUMENTS} instruments, ${TREES} trees of depth 3, 1 worker`,
    alone.checksum,
    figures,
  );
  await rig.orchestrator.stop();
  await duringSwaps(dispatch);
}
await peers();

/** Scoring one row, without bars, features, size or answer. */
function bareScorerUs(): number {
  const { scorer, bundle } = new ServedModel(1, model);
  for (let warm = 0; warm < 100; warm++) scorer.confidences(bundle.goldenRows);
  const start = nowNs();
  for (let pass = 0; pass < 100; pass++) scorer.confidences(bundle.goldenRows);
  return (nowNs() - start) / 1000 / (100 * GOLDEN_ROW_COUNT);
}

/** 10,000/s against synchronous calls, both one after the other and at the same instants: at this rate the caches have forgotten the last signal. */
async function overFloor(rig: Rig, floorP50: number): Promise<Record<string, Figure>> {
  const ratios: { tight: number; sparse: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const floor = await poissonLoad(rig, 10_000, 10_000 * LOAD_SECONDS, round, callNow);
    const load = await poissonLoad(rig, 10_000, 10_000 * LOAD_SECONDS, round);
    const p50 = load.latency.getValueAtPercentile(50);
    ratios.push({ tight: p50 / floorP50, sparse: p50 / floor.latency.getValueAtPercentile(50) });
  }
  return {
    '10000/s over synchronous calls in a loop, p50': lower(median(ratios.map(({ tight }) => tight)), 'x'),
    '10000/s over synchronous calls at 10000/s, p50': lower(median(ratios.map(({ sparse }) => sparse)), 'x'),
  };
}

/** A signal of every instrument at once, as when a minute closes: until the last has its answer, against as many synchronous calls. */
async function bursts(rig: Rig): Promise<Record<string, Figure>> {
  const ratios: number[] = [];
  const durations = latencyHistogram();
  for (let burst = 0; burst < BURSTS; burst++) {
    let start = nowNs();
    let expected = 0;
    for (let k = 0; k < INSTRUMENTS; k++) expected += share(rig.orchestrator.processSignalSync(rig.signal(k)));
    const floorNs = nowNs() - start;
    await pause(1);
    start = nowNs();
    const answers = await Promise.all(
      Array.from({ length: INSTRUMENTS }, (_, k) => rig.orchestrator.processSignal(rig.signal(k))),
    );
    const burstNs = nowNs() - start;
    checkAnswer(answers.reduce((sum, answer) => sum + share(answer), 0) === expected, 'a burst computes the same');
    durations.recordValue(burstNs);
    ratios.push(burstNs / floorNs);
    await pause(1);
  }
  return {
    ...quantileFigures(`burst of ${INSTRUMENTS}`, durations),
    [`burst of ${INSTRUMENTS} over synchronous calls`]: lower(median(ratios), 'x'),
  };
}

/** Loads of 10,000/s with and without a full model swap every {@link SWAP_EVERY_MS}, in turn. */
async function duringSwaps(dispatch: 'auto' | 'inline' | 'pool'): Promise<void> {
  const rig = await startRig({ dispatch, workers: 1 }, model, SWAP_INSTRUMENTS);
  const names = instrumentNames(SWAP_INSTRUMENTS);
  const files = [1, 2].map((seed) => encodeBundle({ ...knowing(model, names), seed }));
  const count = 10_000 * LOAD_SECONDS;
  const ratios: number[] = [];
  const steady = latencyHistogram();
  const swapped = latencyHistogram();
  let checksum = 0;
  let swaps = 0;
  await poissonLoad(rig, 10_000, count, 0);
  for (let round = 0; round < ROUNDS; round++) {
    const without = await poissonLoad(rig, 10_000, count, round);
    let isOver = false;
    const swapping = (async () => {
      for (; !isOver; swaps++) {
        await rig.orchestrator.hotSwapModel(files[swaps % 2]!);
        await pause(SWAP_EVERY_MS);
      }
    })();
    const during = await poissonLoad(rig, 10_000, count, round);
    isOver = true;
    await swapping;
    checkAnswer(during.checksum === without.checksum, 'the models differ in their seed alone');
    checksum += during.checksum;
    steady.add(without.latency);
    swapped.add(during.latency);
    ratios.push(during.latency.getValueAtPercentile(99) / without.latency.getValueAtPercentile(99));
  }
  await rig.orchestrator.stop();
  report(
    `latency during swaps, ${dispatch}`,
    `10,000/s, ${SWAP_INSTRUMENTS} instruments, a swap every ${SWAP_EVERY_MS} ms`,
    checksum,
    {
      ...quantileFigures('without swaps', steady),
      ...quantileFigures('during swaps', swapped),
      'p99 during swaps over p99 without': lower(median(ratios), 'x', 1),
      swaps: told(swaps, ''),
    },
  );
}

async function duringTraining(rig: Rig): Promise<Record<string, Figure>> {
  const bars = simulateMarket({ bars: TRAINING_BARS, edge: 0, seed: 3 });
  const training = rig.orchestrator.train({ instrumentId: 'trained', bars, sides: primarySides('momentum', bars) });
  const { latency } = await poissonLoad(rig, 10_000, 10_000 * LOAD_SECONDS, 7);
  await training;
  return quantileFigures('10000/s while a model trains', latency);
}

/** What one call per signal costs with the common ways into a worker; the evaluation is the same. */
async function peers(): Promise<void> {
  const rig = await startRig({ dispatch: 'auto', workers: 1 }, model, INSTRUMENTS);
  const figures: Record<string, Figure> = {};
  let checksum = 0;
  for (const [name, open] of [
    ['piscina.run', piscinaPeer],
    ['comlink', comlinkPeer],
  ] as const) {
    const peer = open(model, INSTRUMENTS);
    await timePeer(peer, PEER_SIGNALS);
    const theirs = await timePeer(peer, PEER_SIGNALS);
    const ours = await oneInFlight(rig, PEER_SIGNALS);
    checkAnswer(theirs.checksum === ours.checksum, `${name} computes the same`);
    checksum += theirs.checksum;
    const ratio = theirs.p50 / ours.latency.getValueAtPercentile(50);
    figures[`${name} per signal, p50`] = told(theirs.p50 / 1000, 'us');
    figures[`${name} over ours, p50`] = { ...told(ratio, 'x'), better: 'higher', tolerance: 0.5 };
    await peer.close();
  }
  await rig.orchestrator.stop();
  report('latency, peers', `1 in flight, ${INSTRUMENTS} instruments, ${TREES} trees, against auto`, checksum, figures);
}

async function timePeer(peer: Peer, count: number): Promise<{ p50: number; checksum: number }> {
  const latency = latencyHistogram();
  let checksum = 0;
  for (let k = 0; k < count; k++) {
    const start = nowNs();
    checksum += shareOf(await peer.evaluate(peerRequest(k, INSTRUMENTS)));
    latency.recordValue(nowNs() - start);
  }
  return { p50: latency.getValueAtPercentile(50), checksum };
}
