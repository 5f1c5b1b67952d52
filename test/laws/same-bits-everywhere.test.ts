import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/index.js';
import type { BarSeries } from '../../src/market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import { answerBits } from '../support/answer-bits.js';
import { FAST_VPIN, fastTrainedBundle, fixtureBars, FIXTURE_INSTRUMENT as X } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { MINUTE_NS, randomBars, seededRandom } from '../support/market.js';
import { remembered, stopAll } from '../support/opened.js';
import { randomlyTreed, rivalsOf } from '../support/rival-bundles.js';
import { ARRIVING_BARS, ORACLE_RUNS } from '../support/sizes.js';

test.after.each(stopAll);

const SEED = 17;
const PATIENT: OrchestratorConfigInput = { inferenceTimeoutMs: 20_000, vpin: FAST_VPIN, sizing: { kappa: 0.0005 } };
const SPREAD = 'spread';
const OTHER_FEATURES: OrchestratorConfigInput = {
  userFeatures: [SPREAD],
  featureNames: ['volatility', 'side', 'regime', 'momentum', 'normalized_atr'],
};
/** More bars than the ring holds, as many, and too few; the bundle knows the first instrument only. */
const MARKETS: Readonly<Record<string, BarSeries>> = {
  [X]: fixtureBars(320, 71),
  OTHER: randomBars(256, 72),
  SILENT: randomBars(200, 73, { volume: false }),
  SHORT: randomBars(60, 74),
};
const RING = 256;

/** Where signals can be answered, and how they can be sent there. */
const ROUTES: readonly OrchestratorConfigInput[] = [
  { dispatch: 'inline' },
  { dispatch: 'pool', workers: 1 },
  { dispatch: 'pool', workers: 2 },
  { dispatch: 'pool', workers: 3 },
  { dispatch: 'auto', workers: 2 },
];

async function started(config: OrchestratorConfigInput): Promise<ML4TOrchestrator> {
  const orchestrator = new ML4TOrchestrator({ ...PATIENT, ...config }, { logger: silentLogger });
  await remembered(orchestrator).start();
  return orchestrator;
}

function feed(orchestrator: ML4TOrchestrator, instrumentId: string, bars: BarSeries, from: number, to: number): void {
  for (let i = from; i < to; i++) orchestrator.addBar(instrumentId, bars.at(i));
}

/** Signals from before the oldest bar of their instrument to long after its newest, between closes, too. */
const anySignal: fc.Arbitrary<SignalEvent> = fc
  .record({
    instrumentId: fc.constantFrom(X, X, X, 'OTHER', 'OTHER', 'SILENT', 'SHORT', 'UNSEEN'),
    signal: fc.constantFrom(1 as const, -1 as const, 1 as const, -1 as const, 0 as const),
    bar: fc.oneof({ arbitrary: fc.integer({ min: 0, max: 325 }), weight: 9 }, fc.constantFrom(-300, -1, 1000)),
    afterNs: fc.constantFrom(0n, 0n, 1n, MINUTE_NS / 2n),
    spread: fc.constantFrom(Number.NaN, 0, -0, -1, 0.5, 1e300, Number.POSITIVE_INFINITY, 1.25),
  })
  .map(({ instrumentId, signal, bar, afterNs, spread }) => {
    const firstNs = (MARKETS[instrumentId] ?? MARKETS[X]!).tsEventNs[0]!;
    return {
      instrumentId,
      signal,
      timestamp: firstNs + BigInt(bar) * MINUTE_NS + afterNs,
      features: { [SPREAD]: spread },
    };
  });

/** What the random cases of a test have come across: agreement on nothing but defaults would prove nothing. */
class Coverage {
  private readonly kinds = new Map<string, number>();
  private readonly confidences = new Set<number>();
  private readonly modelIds = new Set<string>();

  add(answer: EnrichedSignalEvent): void {
    const kind = answer.degraded ?? (answer.signalEvent.signal === 0 ? 'flat' : 'evaluated');
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    this.modelIds.add(answer.modelId);
    if (kind === 'evaluated') this.confidences.add(answer.metaConfidence);
  }

  check(kinds: readonly string[], modelCount: number): void {
    for (const kind of kinds) assert.ok((this.kinds.get(kind) ?? 0) > 0, `no answer was ${kind}`);
    assert.ok(this.modelIds.size >= modelCount, `${this.modelIds.size} models answered`);
    assert.ok(this.confidences.size > this.kinds.get('evaluated')! / 10, `${this.confidences.size} confidences`);
  }
}

/** Asks every route the same and fails unless all answer with the bits of the first, sent one by one. */
async function checkRoutes(config: OrchestratorConfigInput, bundles: readonly ModelBundle[]): Promise<void> {
  const routes = await Promise.all(
    ROUTES.map((route) => started({ ...config, ...route, store: { instrumentsMax: 8, barsPerInstrument: RING } })),
  );
  for (const route of routes) for (const [id, bars] of Object.entries(MARKETS)) feed(route, id, bars, 0, bars.length);
  const coverage = new Coverage();
  let serving: ModelBundle | null = null;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...bundles),
      fc.array(anySignal, { minLength: 1, maxLength: 80 }),
      async (bundle, signals) => {
        if (bundle !== serving) await Promise.all(routes.map((route) => route.hotSwapModel(bundle)));
        serving = bundle;
        const oracle = signals.map((signal) => routes[0]!.processSignalSync(signal));
        for (const answer of oracle) coverage.add(answer);
        const expected = oracle.map(answerBits);
        for (const [k, route] of routes.entries()) {
          const name = JSON.stringify(ROUTES[k]);
          const burst = await Promise.all(signals.map((signal) => route.processSignal(signal)));
          assert.equal(burst.map(answerBits), expected, `${name}, a burst`);
          const single = await route.processSignal(signals[0]!);
          assert.is(answerBits(single), expected[0], `${name}, one alone`);
          assert.equal((await route.processSignals(signals)).map(answerBits), expected, `${name}, a batch`);
          const sync = signals.map((signal) => route.processSignalSync(signal));
          assert.equal(sync.map(answerBits), expected, `${name}, on the caller's stack`);
        }
      },
    ),
    { seed: SEED, numRuns: ORACLE_RUNS },
  );
  coverage.check(
    ['evaluated', 'flat', 'insufficient-history', 'stale-window', 'stale-bars'],
    Math.min(3, bundles.length),
  );
  const metrics = routes.map((route) => route.dispatchMetrics);
  assert.is(metrics[0]!.pool, 0);
  for (const k of [1, 2, 3]) assert.is(metrics[k]!.inline, 0);
  for (const k of [2, 3])
    assert.ok(
      metrics[k]!.workers.every(({ evaluated }) => evaluated > 0),
      'every worker took part',
    );
  await Promise.all(routes.map((route) => route.stop()));
}

test('inline, in 1, 2 or 3 workers, in auto, at once and in a batch a signal is answered with the same bits', async () => {
  await checkRoutes({}, rivalsOf(await fastTrainedBundle(), 4));
});

test('so it is with features of the user and a choice of the built-in ones', async () => {
  const features = featureSetOf(trainingPlanOf(OrchestratorConfig.parse({ ...PATIENT, ...OTHER_FEATURES })));
  const base = await fastTrainedBundle();
  await checkRoutes(
    OTHER_FEATURES,
    [1, 2, 3].map((seed) => randomlyTreed(base, features, seed)),
  );
});

interface Drilled {
  readonly answers: readonly EnrichedSignalEvent[];
  /** Newest bar of its instrument when an answer was made, by its signal id. */
  readonly newestAt: ReadonlyMap<string, number>;
}

const LIVE_IDS = [X, 'OTHER', 'THIRD'];
const LIVE_RING = 512;
const HISTORY = 200;
const BARS_PER_SWAP = 30;
const LIVE_BARS = LIVE_IDS.map((_, k) => fixtureBars(HISTORY + ARRIVING_BARS, 81 + k));

/** Bars arrive between the signals and models swap beside them, until all bars are in the store. */
async function drilled(route: OrchestratorConfigInput, bundles: readonly ModelBundle[]): Promise<Drilled> {
  const live = await started({ ...route, store: { instrumentsMax: 4, barsPerInstrument: LIVE_RING } });
  await live.hotSwapModel(bundles[0]!);
  const newest = LIVE_IDS.map(() => HISTORY - 1);
  for (const [k, id] of LIVE_IDS.entries()) feed(live, id, LIVE_BARS[k]!, 0, HISTORY);
  const newestAt = new Map<string, number>();
  live.events.on('enriched', ({ signalId, signalEvent }) =>
    newestAt.set(signalId, newest[LIVE_IDS.indexOf(signalEvent.instrumentId)]!),
  );
  let arriving = true;
  let swaps = 0;
  const swapping = (async () => {
    while (arriving) await live.hotSwapModel(bundles[++swaps % bundles.length]!);
  })();
  const random = seededRandom(SEED);
  const promises: Promise<EnrichedSignalEvent>[] = [];
  for (let i = HISTORY; i < HISTORY + ARRIVING_BARS; i++) {
    for (const [k, id] of LIVE_IDS.entries()) {
      const burst = random() < 0.1 ? 40 : Math.floor(4 * random());
      for (let n = 0; n < burst; n++) {
        // Mostly the newest bar; now and then one whose window is about to be overwritten.
        const back = random() < 0.8 ? 0 : Math.floor(random() * (LIVE_RING - 95));
        const timestamp = LIVE_BARS[k]!.tsEventNs[Math.max(0, newest[k]! - back)]!;
        promises.push(live.processSignal({ instrumentId: id, signal: random() < 0.5 ? 1 : -1, timestamp }));
      }
      feed(live, id, LIVE_BARS[k]!, i, i + 1);
      newest[k] = i;
    }
    if (random() < 0.7) await nextTurn();
    // A swap takes hundreds of turns: every bundle gets its share of the bars.
    while (swaps * BARS_PER_SWAP < i - HISTORY) await nextTurn();
  }
  const answers = await Promise.all(promises);
  arriving = false;
  await swapping;
  await live.stop();
  return { answers, newestAt };
}

/** Asks again, one as-of after the other, an orchestrator that has no bar after it and never had another model. */
async function checkAgain(bundle: ModelBundle, answers: readonly EnrichedSignalEvent[]): Promise<void> {
  const fresh = await started({ dispatch: 'inline', store: { instrumentsMax: 4, barsPerInstrument: LIVE_RING } });
  await fresh.hotSwapModel(bundle);
  const fed = LIVE_IDS.map(() => 0);
  for (const answer of [...answers].sort((a, b) => a.asOfSequence - b.asOfSequence)) {
    const { signalId: _id, ...event } = answer.signalEvent;
    const k = LIVE_IDS.indexOf(event.instrumentId);
    feed(fresh, event.instrumentId, LIVE_BARS[k]!, fed[k]!, answer.asOfSequence + 1);
    fed[k] = answer.asOfSequence + 1;
    assert.is(answerBits(fresh.processSignalSync(event)), answerBits(answer));
  }
  await fresh.stop();
}

for (const route of [...ROUTES.slice(0, 3), ROUTES[4]!]) {
  test(`while bars arrive and models swap every answer is that of its own bundle and as-of: ${JSON.stringify(route)}`, async () => {
    const bundles = rivalsOf(await fastTrainedBundle(), 4);
    const { answers, newestAt } = await drilled(route, bundles);
    const lapped = answers.filter(({ degraded }) => degraded === 'stale-window');
    for (const { signalId, asOfSequence } of lapped) {
      const oldest = newestAt.get(signalId)! + 2 - LIVE_RING;
      assert.ok(asOfSequence - 99 < oldest, 'a window is stale only when its oldest bar is gone');
    }
    assert.ok(lapped.length < answers.length / 10, `${lapped.length} of ${answers.length} windows were lapped`);
    const coverage = new Coverage();
    for (const bundle of bundles) {
      const own = answers.filter(({ modelId, degraded }) => modelId === bundle.modelId && degraded !== 'stale-window');
      assert.ok(own.length > 20, `${own.length} answers by ${bundle.modelId}`);
      for (const answer of own) coverage.add(answer);
      await checkAgain(bundle, own);
    }
    coverage.check(['evaluated'], bundles.length);
  });
}

test.run();
