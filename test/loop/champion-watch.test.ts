import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { GivenAnswer } from '../../src/loop/answer-book.js';
import { ChampionWatch, type WatchedAnswer } from '../../src/loop/champion-watch.js';
import type { EnrichedSignalEvent, OutcomeEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import type { RetrainMonitorOptions } from '../../src/retrain/retrain-monitor.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { withRegime } from '../../src/training/regime-column.js';
import { featureSetOf } from '../../src/training/training-plan.js';
import { buildTrainingSet } from '../../src/training/training-set.js';
import { relabelled } from '../support/bundles.js';
import { liveAnswers } from '../support/live-answers.js';
import { ManualClock } from '../support/manual-clock.js';
import { plantedPlan, plantedSeries } from '../support/planted.js';
import { treesFor } from '../support/recorded-runs.js';
import { randomlyTreed } from '../support/rival-bundles.js';

const PLAN = plantedPlan();
const FEATURES = featureSetOf(PLAN);
const LATER_NS = 2n ** 62n;
const OPTIONS: RetrainMonitorOptions = {
  ...{ accuracyDropThreshold: 0.1, minSamples: 100, intervalBars: null, intervalMs: null },
  ...{ sampleCount: null, cooldownBars: 10, clock: new ManualClock() },
};

let trained: Promise<[ModelBundle, ModelBundle]> | undefined;

/** The champion, which knows no regimes, and the one before it, which does and whose trees ask for every feature. */
function bundles(): Promise<[ModelBundle, ModelBundle]> {
  // One whose training lies in the past of every bar of the tests.
  trained ??= Promise.all([treesFor(plantedSeries(1200, 51, 0.8)), treesFor(plantedSeries(1200, 52, 0.65), 6n)]).then(
    ([a, b]) => [
      relabelled(a, { trainingEndNs: a.trainingStartNs, regime: null }),
      relabelled(randomlyTreed(b, FEATURES, 54), { trainingEndNs: b.trainingStartNs }),
    ],
  );
  return trained;
}

function storeOf(): FeatureStoreWriter {
  return new FeatureStoreWriter({ instrumentsMax: 2, barsPerInstrument: 1024, vpin: PLAN.vpin });
}

function watchOf(store = storeOf(), state?: ReturnType<ChampionWatch['toState']>): ChampionWatch {
  return new ChampionWatch(OPTIONS, FEATURES, new FeatureStoreReader(store.shared), state);
}

const labelled = (metaLabel: 0 | 1 | null): OutcomeEvent => ({ metaLabel }) as OutcomeEvent;

function answerOf(modelId: string, confidence = 0.6, rest: Partial<WatchedAnswer> = {}): WatchedAnswer {
  return { modelId, confidence, isModelAnswer: true, rival: null, asOfNs: LATER_NS, ...rest };
}

test("only labels of the present champion's own answers count", async () => {
  const [champion, previous] = await bundles();
  const watch = watchOf();
  watch.adopt(champion, previous);
  const { modelId } = champion;
  watch.closed(answerOf(modelId), labelled(1));
  watch.closed(answerOf(previous.modelId), labelled(1));
  watch.closed(answerOf(modelId, 0.5, { isModelAnswer: false }), labelled(1));
  watch.closed(answerOf(''), labelled(1));
  watch.closed(answerOf(modelId), labelled(null));
  watch.closed(answerOf(modelId, 0.4, { asOfNs: champion.trainingEndNs }), labelled(1));
  assert.equal([watch.labels, watch.monitor.status.labelsSinceTraining], [1, 1]);
});

test('a confidence of one half or more calls the signal right', async () => {
  const [champion] = await bundles();
  const watch = watchOf();
  watch.adopt(champion, null);
  for (let k = 0; k < 100; k++)
    watch.closed(answerOf(champion.modelId, k < 50 ? 0.5 : 0.49), labelled(k % 2 === 0 ? 1 : 0));
  // Half of the calls of either kind are right.
  assert.is(watch.monitor.status.windowAccuracy, 0.5);
  for (let k = 0; k < 100; k++) watch.closed(answerOf(champion.modelId, 0.5), labelled(1));
  assert.is(watch.monitor.status.windowAccuracy, 1);
});

test('a new champion is watched from the beginning, and one in another standing goes on under both of its ids', async () => {
  const [champion, previous] = await bundles();
  const watch = watchOf();
  watch.adopt(champion, previous);
  watch.closed(answerOf(champion.modelId), labelled(1));
  const full = relabelled(champion, { evidence: 'strict' });
  watch.rename(full);
  watch.closed(answerOf(champion.modelId), labelled(1));
  watch.closed(answerOf(full.modelId), labelled(1));
  assert.is(watch.labels, 3);
  watch.adopt(previous, full);
  assert.equal([watch.labels, watch.monitor.status.labelsSinceTraining], [0, 0]);
  watch.closed(answerOf(full.modelId), labelled(1));
  assert.is(watch.labels, 0);
});

interface Staked {
  readonly watch: ChampionWatch;
  readonly champion: ModelBundle;
  readonly previous: ModelBundle;
  readonly staked: {
    readonly bar: number;
    readonly answer: EnrichedSignalEvent;
    readonly rival: NonNullable<WatchedAnswer['rival']>;
  }[];
}

const MARKET = plantedSeries(400, 53, 0.8);

/** A live run's answers and rows, and what the watch staked on each before the next bar came. */
async function stakes(): Promise<Staked & { readonly store: FeatureStoreWriter }> {
  const [champion, previous] = await bundles();
  const store = storeOf();
  const watch = watchOf(store);
  watch.adopt(champion, previous);
  const answers = await liveAnswers(champion, MARKET);
  const rows = rowsOf(champion);
  const staked: Staked['staked'] = [];
  for (let bar = 0; bar < MARKET.bars.length; bar++) {
    store.append(MARKET.instrumentId, MARKET.bars.at(bar));
    const answer = answers.get(bar);
    const row = rows.get(bar);
    if (answer === undefined || row === undefined) continue;
    const rival = watch.stakeOn(given(answer, bar, row), bar);
    if (rival !== null) staked.push({ bar, answer, rival });
  }
  return { watch, champion, previous, staked, store };
}

/** An answer to a signal on a bar, with its row. */
function given(
  answer: { readonly modelId: string; readonly metaConfidence: number },
  asOf: number,
  row: Float32Array,
  asOfNs = LATER_NS,
): GivenAnswer {
  return { answer, signal: { instrument: 0, asOf, asOfNs }, row } as unknown as GivenAnswer;
}

/** The rows a live system saw, the regimes of the bundle in them; law 3 makes them those of a training set. */
function rowsOf(bundle: ModelBundle): Map<number, Float32Array> {
  const set = buildTrainingSet([MARKET], FEATURES, PLAN.labels, PLAN.vpin);
  const { rows, columnCount, bar } = withRegime(set, FEATURES, bundle.regime, set.start.keys());
  return new Map([...bar].map((at, row) => [at, rows.slice(row * columnCount, (row + 1) * columnCount)]));
}

test('the champion before is asked with its own regimes, and says what it would have answered', async () => {
  const { staked, previous } = await stakes();
  const theirs = await liveAnswers(previous, MARKET);
  assert.ok(staked.length > 50);
  for (const { bar, rival } of staked) assert.is(rival.confidence, theirs.get(bar)!.metaConfidence, `bar ${bar}`);
  assert.ok(staked.every(({ rival }) => rival.modelId === previous.modelId));
});

test('nothing is staked on an answer of another model, without a champion before, or where both say the same', async () => {
  const { watch, champion, previous, staked, store } = await stakes();
  const row = rowsOf(champion).get(staked[0]!.bar)!;
  const { bar, answer, rival } = staked[0]!;
  const asked = (from: ChampionWatch, changes: object, followedTo = bar, asOfNs = LATER_NS) =>
    from.stakeOn(given({ ...answer, ...changes }, bar, row, asOfNs), followedTo);
  assert.is(asked(watch, { modelId: previous.modelId, metaConfidence: 0.9 }), null);
  assert.is(asked(watch, { metaConfidence: rival.confidence }), null);
  assert.is(asked(watch, { metaConfidence: 0.9 }, bar, champion.trainingEndNs), null);
  assert.is(asked(watch, { metaConfidence: 0.9 }, bar + 1), null, 'later bars have settled bets');
  assert.is.not(asked(watch, { metaConfidence: 0.9 }), null);
  const alone = watchOf(store);
  alone.adopt(champion, null);
  assert.equal([asked(alone, {}), alone.eValue, alone.isRefuted], [null, null, false]);
});

test('a champion before that reads other rows is not asked', async () => {
  const [champion, previous] = await bundles();
  const watch = watchOf();
  watch.adopt(champion, { ...previous, featureFingerprint: 'of-others' });
  assert.is(watch.eValue, null);
});

test('stakes settle with their labels, are lost without one, and none is settled under a later watch', async () => {
  const { watch, champion, previous, staked } = await stakes();
  const before = watch.eValue!;
  const closed = (k: number, metaLabel: 0 | 1 | null): void => {
    const { answer, rival } = staked[k]!;
    watch.closed(answerOf(answer.modelId, answer.metaConfidence, { rival }), labelled(metaLabel));
  };
  closed(0, staked[0]!.rival.stake.wins);
  assert.ok(watch.eValue! > before);
  const won = watch.eValue!;
  // Whichever label they were staked on.
  for (const wins of [0, 1] as const) {
    const lost = staked.findIndex(({ rival }, k) => k > 3 && rival.stake.wins === wins);
    assert.ok(lost > 3);
    closed(lost, null);
  }
  closed(2, staked[2]!.rival.stake.wins === 1 ? 0 : 1);
  assert.is(watch.eValue, won, 'their reserves were counted as lost from the beginning');
  watch.adopt(champion, previous);
  closed(3, staked[3]!.rival.stake.wins);
  assert.is(watch.eValue, 1);
});

test('enough won bets refute the champion', async () => {
  const { watch, champion, staked } = await stakes();
  assert.is(watch.isRefuted, false);
  const rows = rowsOf(champion);
  // Bet after bet, each with what the one before has won.
  for (let round = 0; round < 20 && !watch.isRefuted; round++) {
    for (const { bar, answer } of staked) {
      const rival = watch.stakeOn(given(answer, bar, rows.get(bar)!), bar)!;
      watch.closed(answerOf(answer.modelId, 0.5, { rival }), labelled(rival.stake.wins));
    }
  }
  assert.is(watch.isRefuted, true, `E ${watch.eValue}`);
});

test('a watch that is taken up again goes on equally', async () => {
  const one = await stakes();
  const { champion, previous, staked, store } = one;
  const state = JSON.parse(JSON.stringify(one.watch.toState())) as ReturnType<ChampionWatch['toState']>;
  const other = watchOf(store, state);
  other.resume(champion, previous, state);
  for (const [k, { answer, rival }] of staked.entries()) {
    for (const watch of [one.watch, other]) {
      watch.closed(
        answerOf(answer.modelId, answer.metaConfidence, { rival }),
        labelled(k % 7 === 0 ? null : k % 3 === 0 ? 1 : 0),
      );
    }
  }
  assert.ok(one.watch.labels > 50);
  assert.equal(other.toState(), one.watch.toState());
});

test('a champion before that was away for a while is bet on anew, and its old stakes are gone', async () => {
  const one = await stakes();
  const { champion, previous, staked, store } = one;
  const without = watchOf(store, one.watch.toState());
  without.resume(champion, null, one.watch.toState());
  const state = without.toState();
  const again = watchOf(store, state);
  again.resume(champion, previous, state);
  const { answer, rival } = staked[0]!;
  for (const watch of [without, again])
    watch.closed(answerOf(answer.modelId, 0.5, { rival }), labelled(rival.stake.wins));
  assert.equal([without.eValue, again.eValue], [null, 1]);
});

test.run();
