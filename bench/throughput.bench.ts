// How many signals a second, by direct calls, through the pool and in batches, and how does the cost grow with instruments and trees?
import { type Rig, startRig, trainedBundle } from './fixture.js';
import { share, shareOf } from './load.js';
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
const FLOOR = 'synchronous calls';
const PEER = 'piscina.run per signal';
const TREE_COUNTS = SMOKE ? [10, 20] : [50, 200, 500];

const model = await trainedBundle(TREES);
await ways();
await instruments();
await trees();

async function ways(): Promise<void> {
  const auto = await startRig({ dispatch: 'auto', workers: 1 }, model, INSTRUMENTS);
  const pool = await startRig({ dispatch: 'pool', workers: 1 }, model, INSTRUMENTS);
  const peer = piscinaPeer(model, INSTRUMENTS);
  const ways: Record<string, Way> = {
    [FLOOR]: { count: SIGNALS, run: () => callNow(auto, SIGNALS) },
    'calls, auto': { count: SIGNALS, run: () => calls(auto) },
    'calls, pool': { count: SIGNALS, run: () => calls(pool) },
    'batch, auto': { count: SIGNALS, run: () => batch(auto) },
    'batch, pool': { count: SIGNALS, run: () => batch(pool) },
    [PEER]: { count: PEER_SIGNALS, run: () => peerCalls(peer) },
  };
  const expected = { [SIGNALS]: callNow(auto, SIGNALS), [PEER_SIGNALS]: callNow(auto, PEER_SIGNALS) };
  const rates = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
  for (let pass = -1; pass < PASSES; pass++) {
    for (const [name, way] of Object.entries(ways)) {
      const { perSecond, checksum } = await timed(way);
      checkAnswer(checksum === expected[way.count], `${name}: every way computes the same`);
      if (pass >= 0) rates.get(name)!.push(perSecond);
    }
  }
  await peer.close();
  await auto.orchestrator.stop();
  await pool.orchestrator.stop();
  const ratio = (name: string, base: string): number =>
    median(rates.get(name)!.map((rate, pass) => rate / rates.get(base)![pass]!));
  const figures: Record<string, Figure> = {};
  for (const [name, values] of rates) figures[name] = higher(median(values), 'signals/s');
  for (const name of ['calls, auto', 'calls, pool', 'batch, auto', 'batch, pool']) {
    figures[`${name} over synchronous`] = higher(ratio(name, FLOOR), 'x');
    figures[`${name} over piscina.run`] = higher(ratio(name, PEER), 'x', 0.5);
  }
  report('throughput', `${INSTRUMENTS} instruments, ${TREES} trees of depth 3, 1 worker`, expected[SIGNALS]!, figures);
}

async function instruments(): Promise<void> {
  const figures: Record<string, Figure> = {};
  let checksum = 0;
  for (const count of INSTRUMENT_COUNTS) {
    const rig = await startRig({ dispatch: 'pool', workers: 1 }, model, count);
    const expected = callNow(rig, SIGNALS);
    figures[`${count} instruments`] = higher(
      await medianRate({ count: SIGNALS, run: () => batch(rig) }, expected),
      'signals/s',
    );
    checksum += expected;
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
    const expected = callNow(rig, SIGNALS);
    costs.push(1e6 / (await medianRate({ count: SIGNALS, run: () => callNow(rig, SIGNALS) }, expected)));
    figures[`${count} trees`] = lower(costs.at(-1)!, 'us/signal');
    checksum += expected;
    await rig.orchestrator.stop();
  }
  const growth = costs.at(-1)! / costs[0]!;
  const work = TREE_COUNTS.at(-1)! / TREE_COUNTS[0]!;
  figures['growth of the cost over growth of the trees'] = told(growth / work, 'x');
  report('throughput by trees', 'synchronous calls, 1 instrument, depth 3', checksum, figures);
}

function callNow(rig: Rig, count: number): number {
  let checksum = 0;
  for (let k = 0; k < count; k++) checksum += share(rig.orchestrator.processSignalSync(rig.signal(k)));
  return checksum;
}

async function calls(rig: Rig): Promise<number> {
  let checksum = 0;
  for (let first = 0; first < SIGNALS; first += AT_ONCE) {
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, k) => rig.orchestrator.processSignal(rig.signal(first + k))),
    );
    for (const answer of answers) checksum += share(answer);
  }
  return checksum;
}

async function batch(rig: Rig): Promise<number> {
  const answers = await rig.orchestrator.processSignals(Array.from({ length: SIGNALS }, (_, k) => rig.signal(k)));
  return answers.reduce((sum, answer) => sum + share(answer), 0);
}

async function peerCalls(peer: Peer): Promise<number> {
  let checksum = 0;
  for (let first = 0; first < PEER_SIGNALS; first += AT_ONCE) {
    const size = Math.min(AT_ONCE, PEER_SIGNALS - first);
    const confidences = await Promise.all(
      Array.from({ length: size }, (_, k) => peer.evaluate(peerRequest(first + k, INSTRUMENTS))),
    );
    for (const confidence of confidences) checksum += shareOf(confidence);
  }
  return checksum;
}

/** One way to have a number of signals answered; `run` returns the checksum of the answers. */
interface Way {
  readonly count: number;
  readonly run: () => number | Promise<number>;
}

async function timed({ count, run }: Way): Promise<{ perSecond: number; checksum: number }> {
  const start = nowNs();
  const checksum = await run();
  return { perSecond: (count * 1e9) / (nowNs() - start), checksum };
}

async function medianRate(way: Way, expected: number): Promise<number> {
  const rates: number[] = [];
  for (let pass = -1; pass < PASSES; pass++) {
    const { perSecond, checksum } = await timed(way);
    checkAnswer(checksum === expected, 'every way computes the same');
    if (pass >= 0) rates.push(perSecond);
  }
  return median(rates);
}
