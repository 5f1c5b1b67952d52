// How many signals a second, by direct calls, through the pool and in batches, and how does the cost grow with instruments and trees?
import { type Rig, startRig, trainedBundle } from './fixture.js';
import { checkAnswer, type Figure, higher, lower, median, nowNs, report, SMOKE, told } from './measure.js';
import { type Peer, peerRequest, piscinaPeer } from './peers.js';

const TREES = SMOKE ? 10 : 100;
const INSTRUMENTS = SMOKE ? 50 : 1000;
const SIGNALS = SMOKE ? 2_000 : 100_000;
const PEER_SIGNALS = SMOKE ? 200 : 10_000;
/** Calls made at once before their answers are awaited. */
const AT_ONCE = 1_000;
const PASSES = SMOKE ? 1 : 5;
const INSTRUMENT_COUNTS = SMOKE ? [1, 64] : [1, 64, 1024, 4096];
const TREE_COUNTS = SMOKE ? [10, 20] : [50, 200, 500];

const model = await trainedBundle(TREES);
await ways();
await instruments();
await trees();

async function ways(): Promise<void> {
  const rigs = {
    auto: await startRig({ dispatch: 'auto', workers: 1 }, model, INSTRUMENTS),
    pool: await startRig({ dispatch: 'pool', workers: 1 }, model, INSTRUMENTS),
  };
  const peer = piscinaPeer(model, INSTRUMENTS);
  const runs: Record<string, () => Promise<number>> = {
    'synchronous calls': async () => perSecond(SIGNALS, () => synchronous(rigs.auto, SIGNALS)),
    'calls, auto': () => perSecondAsync(SIGNALS, () => calls(rigs.auto)),
    'calls, pool': () => perSecondAsync(SIGNALS, () => calls(rigs.pool)),
    'batch, auto': () => perSecondAsync(SIGNALS, () => batch(rigs.auto)),
    'batch, pool': () => perSecondAsync(SIGNALS, () => batch(rigs.pool)),
    'piscina.run per signal': () => perSecondAsync(PEER_SIGNALS, () => peerCalls(peer)),
  };
  for (const run of Object.values(runs)) await run();
  const rates = new Map<string, number[]>();
  for (let pass = 0; pass < PASSES; pass++) {
    for (const [name, run] of Object.entries(runs)) rates.set(name, [...(rates.get(name) ?? []), await run()]);
  }
  const checksum = await batch(rigs.pool);
  checkAnswer(checksum === (await batch(rigs.auto)), 'every path computes the same');
  await peer.close();
  await rigs.auto.orchestrator.stop();
  await rigs.pool.orchestrator.stop();
  const ratio = (name: string, base: string): number =>
    median(rates.get(name)!.map((rate, pass) => rate / rates.get(base)![pass]!));
  const figures: Record<string, Figure> = {};
  for (const [name, values] of rates) figures[name] = higher(median(values), 'signals/s');
  for (const name of ['calls, auto', 'calls, pool', 'batch, auto', 'batch, pool']) {
    figures[`${name} over synchronous`] = higher(ratio(name, 'synchronous calls'), 'x');
    figures[`${name} over piscina.run`] = higher(ratio(name, 'piscina.run per signal'), 'x', 0.5);
  }
  report('throughput', `${INSTRUMENTS} instruments, ${TREES} trees of depth 3, 1 worker`, checksum, figures);
}

async function instruments(): Promise<void> {
  const figures: Record<string, Figure> = {};
  let checksum = 0;
  for (const count of INSTRUMENT_COUNTS) {
    const rig = await startRig({ dispatch: 'pool', workers: 1 }, model, count);
    checksum += await batch(rig);
    const rates = await repeated(() => perSecondAsync(SIGNALS, () => batch(rig)));
    figures[`${count} instruments`] = higher(median(rates), 'signals/s');
    await rig.orchestrator.stop();
  }
  report('throughput by instruments', `batches, ${TREES} trees of depth 3, pool of 1`, checksum, figures);
}

/** Cost must grow no faster than the work, which is the trees: the time of a signal against that of the smallest model, over the ratio of trees. */
async function trees(): Promise<void> {
  const figures: Record<string, Figure> = {};
  const costs: number[] = [];
  let checksum = 0;
  for (const count of TREE_COUNTS) {
    const rig = await startRig({ dispatch: 'inline' }, await trainedBundle(count), 1);
    checksum += synchronous(rig, SIGNALS);
    const rates = await repeated(async () => perSecond(SIGNALS, () => synchronous(rig, SIGNALS)));
    costs.push(1e6 / median(rates));
    figures[`${count} trees`] = lower(costs.at(-1)!, 'us/signal');
    await rig.orchestrator.stop();
  }
  const growth = costs.at(-1)! / costs[0]!;
  const work = TREE_COUNTS.at(-1)! / TREE_COUNTS[0]!;
  figures['growth of the cost over growth of the trees'] = told(growth / work, 'x');
  report('throughput by trees', 'synchronous calls, 1 instrument, depth 3', checksum, figures);
}

function synchronous(rig: Rig, count: number): number {
  let checksum = 0;
  for (let k = 0; k < count; k++) checksum += rig.orchestrator.processSignalSync(rig.signal(k)).metaConfidence;
  return checksum;
}

async function calls(rig: Rig): Promise<number> {
  let checksum = 0;
  for (let first = 0; first < SIGNALS; first += AT_ONCE) {
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, k) => rig.orchestrator.processSignal(rig.signal(first + k))),
    );
    for (const { metaConfidence } of answers) checksum += metaConfidence;
  }
  return checksum;
}

async function batch(rig: Rig): Promise<number> {
  const answers = await rig.orchestrator.processSignals(Array.from({ length: SIGNALS }, (_, k) => rig.signal(k)));
  return answers.reduce((sum, { metaConfidence }) => sum + metaConfidence, 0);
}

async function peerCalls(peer: Peer): Promise<number> {
  let checksum = 0;
  for (let first = 0; first < PEER_SIGNALS; first += AT_ONCE) {
    const size = Math.min(AT_ONCE, PEER_SIGNALS - first);
    const answers = await Promise.all(
      Array.from({ length: size }, (_, k) => peer.evaluate(peerRequest(first + k, INSTRUMENTS))),
    );
    for (const confidence of answers) checksum += confidence;
  }
  return checksum;
}

async function repeated(run: () => Promise<number>): Promise<number[]> {
  const rates: number[] = [];
  for (let pass = 0; pass < PASSES; pass++) rates.push(await run());
  return rates;
}

function perSecond(count: number, run: () => number): number {
  const start = nowNs();
  run();
  return (count * 1e9) / (nowNs() - start);
}

async function perSecondAsync(count: number, run: () => Promise<number>): Promise<number> {
  const start = nowNs();
  await run();
  return (count * 1e9) / (nowNs() - start);
}
