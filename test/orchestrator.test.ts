import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OrchestratorConfigInput } from '../src/config.js';
import { deriveFeatureColumns } from '../src/features/feature-columns.js';
import { FEATURE_NAMES, featureMatrix } from '../src/features/feature-row.js';
import type { EnrichedSignalEvent, SignalEvent } from '../src/market/events.js';
import { ML4TOrchestrator } from '../src/orchestrator.js';
import { toxicityShare } from '../src/orderflow/toxicity.js';
import { VpinIndicator } from '../src/orderflow/vpin.js';
import { RegimeFilter } from '../src/regime/regime-filter.js';
import { NO_EDGE } from '../src/sizing/edge.js';
import { bundleFor, FAST_VPIN, fastTrainedBundle, fixtureBars, relabelled, trainedBundle } from './support/bundles.js';
import { capturedLog, silentLogger } from './support/captured-log.js';
import { MINUTE_NS, randomBars } from './support/market.js';
import { refusalOf } from './support/refusal.js';
import { firstVerdict } from './support/verdicts.js';

const test = suite('orchestrator');
const bars = fixtureBars(300, 9);
const lastNs = bars.tsEventNs[299]!;
const signal = (fields: Partial<SignalEvent> = {}): SignalEvent => ({
  instrumentId: 'X',
  signal: 1,
  timestamp: lastNs,
  ...fields,
});

async function started(config: OrchestratorConfigInput = {}, logger = silentLogger): Promise<ML4TOrchestrator> {
  const orchestrator = new ML4TOrchestrator({ dispatch: 'inline', ...config }, { logger });
  await orchestrator.start();
  for (let i = 0; i < bars.length; i++) orchestrator.addBar('X', bars.at(i));
  return orchestrator;
}

test('before any model a signal is answered with the default confidence, flagged, and the log says so once', async () => {
  const { logger, lines } = capturedLog();
  const orchestrator = await started({}, logger);
  const answers = [1, -1, 1].map((side) => orchestrator.processSignalSync(signal({ signal: side as 1 | -1 })));
  for (const answer of answers) {
    assert.is(answer.metaConfidence, 0.5);
    assert.not(answer.modelAvailable);
    assert.is(answer.generation, 0);
    assert.is(answer.modelId, '');
    assert.is(answer.degraded, undefined);
  }
  assert.is(lines.filter(({ msg }) => msg.includes('no model yet')).length, 1);
  await orchestrator.stop();
});

test('before any model no size is taken on the edge, whatever the signal, and toxicity is raw VPIN', async () => {
  const orchestrator = await started({ vpin: FAST_VPIN });
  for (const side of [1, -1] as const) {
    const answer = orchestrator.processSignalSync(signal({ signal: side }));
    assert.equal([answer.size, answer.sizeReason], [0, 'no-model']);
    assert.equal([answer.toxicityAvailable, answer.regimeAvailable], [true, false]);
    assert.is(answer.toxicity, lastVpin());
    assert.is(answer.regimeWeight, 0.5);
  }
  await orchestrator.stop();
});

/** VPIN of the last bar, from a walk of its own. */
function lastVpin(): number {
  const vpin = new VpinIndicator(FAST_VPIN);
  for (let i = 0; i < bars.length; i++) vpin.update(bars.at(i));
  return vpin.value ?? Number.NaN;
}

test('an answer is sized by the linear rule from its own numbers, where that is configured', async () => {
  const orchestrator = await started({ vpin: FAST_VPIN, sizing: { mode: 'linear' } });
  const early = orchestrator.processSignalSync(signal());
  assert.is(early.size, 0.5 * 0.5 * (1 - early.toxicity) * 0.5, 'before any model it is sized all the same');
  await orchestrator.hotSwapModel(await fastTrainedBundle());
  const answer = await orchestrator.processSignal(signal({ signal: -1 }));
  assert.ok(answer.metaConfidence > 0 && answer.metaConfidence < 1 && answer.metaConfidence !== 0.5);
  assert.ok(answer.modelAvailable && answer.regimeAvailable && answer.toxicityAvailable);
  assert.is(answer.size, -(answer.metaConfidence * answer.regimeWeight * (1 - answer.toxicity) * 0.5));
  assert.equal(answer.toMetaOutput(), {
    confidence: answer.metaConfidence,
    regimeWeight: answer.regimeWeight,
    toxicity: answer.toxicity,
  });
  await orchestrator.stop();
});

test('regime and toxicity of an instrument the bundle knows are its filter and its quantiles', async () => {
  const bundle = await fastTrainedBundle();
  const orchestrator = await started({ vpin: FAST_VPIN });
  await orchestrator.hotSwapModel(bundle);
  const answer = orchestrator.processSignalSync(signal());
  assert.ok(answer.regimeAvailable && answer.toxicityAvailable);
  const filter = RegimeFilter.of(bundle.regime!, 'X')!;
  assert.is(answer.regimeWeight, filter.weightAt(deriveFeatureColumns(bars), 299));
  assert.is(answer.toxicity, toxicityShare(bundle.toxicityQuantiles.X!, lastVpin()));
  assert.is.not(answer.toxicity, lastVpin());
  await orchestrator.stop();
});

test('of an instrument the bundle does not know regime and toxicity are the defaults, flagged', async () => {
  const orchestrator = await started({ vpin: FAST_VPIN, defaultRegimeWeight: 0.6, defaultToxicity: 0.2 });
  await orchestrator.hotSwapModel(await fastTrainedBundle());
  const known = orchestrator.processSignalSync(signal());
  for (const instrumentId of ['Y', 'constructor', '__proto__']) {
    for (let i = 0; i < bars.length; i++) orchestrator.addBar(instrumentId, bars.at(i));
    const answer = orchestrator.processSignalSync(signal({ instrumentId }));
    assert.ok(answer.modelAvailable);
    assert.is(answer.degraded, undefined);
    assert.equal([answer.regimeAvailable, answer.toxicityAvailable], [false, false]);
    assert.equal([answer.regimeWeight, answer.toxicity], [0.6, 0.2]);
    assert.ok(answer.metaConfidence > 0 && answer.metaConfidence < 1);
  }
  assert.equal(bitsOf(orchestrator.processSignalSync(signal())), bitsOf(known), 'others in between change nothing');
  await orchestrator.stop();
});

function bitsOf({ metaConfidence, regimeWeight, toxicity, size }: EnrichedSignalEvent): number[] {
  return [metaConfidence, regimeWeight, toxicity, size];
}

const EDGE = { intercept: -0.4, slope: 2.5, squareWon: 3.5, squareLost: 1.1 };

/** What the edge pays at the last bar, by hand: κ·EV/(unit²·E[R²]). */
function kellySize(confidence: number, kappa: number, costBps: number): number {
  const sides = new Int8Array(bars.length).fill(1);
  const unknown = new Float64Array(bars.length).fill(Number.NaN);
  const { data } = featureMatrix(bars, {
    rows: Int32Array.of(299),
    sides,
    toxicity: unknown,
    regime: unknown,
  });
  const unit = data[FEATURE_NAMES.indexOf('normalized_atr')]!;
  const value = unit * (EDGE.intercept + EDGE.slope * confidence) - costBps / 10_000;
  const square = confidence * EDGE.squareWon + (1 - confidence) * EDGE.squareLost;
  return (kappa * value) / (unit * unit * square);
}

test('an answer is sized on the edge of its confidence after cost, and half of it while the evidence is provisional', async () => {
  const kappa = 0.002;
  for (const costBps of [0, 1]) {
    const orchestrator = await started({ labels: { costBps }, sizing: { kappa } });
    for (const [evidence, share] of [
      ['forced', 1],
      ['provisional', 0.5],
    ] as const) {
      await orchestrator.hotSwapModel(relabelled(await trainedBundle(), { edge: EDGE, evidence }));
      for (const side of [1, -1] as const) {
        const answer = orchestrator.processSignalSync(signal({ signal: side }));
        const wanted = side * share * kellySize(answer.metaConfidence, kappa, costBps);
        assert.ok(Math.abs(wanted) > 0.01 && Math.abs(wanted) < 1, `size ${wanted}`);
        assert.ok(Math.abs(answer.size - wanted) < 1e-12, `${answer.size}, expected ${wanted}`);
        assert.is(answer.sizeReason, undefined);
      }
    }
    await orchestrator.stop();
  }
});

test('a size on the edge ends at the largest fraction, and provisional evidence halves even that', async () => {
  const orchestrator = await started({ sizing: { kappa: 1, maxFraction: 0.8 } });
  for (const [evidence, size] of [
    ['forced', 0.8],
    ['provisional', 0.4],
  ] as const) {
    await orchestrator.hotSwapModel(relabelled(await trainedBundle(), { edge: EDGE, evidence }));
    assert.is(orchestrator.processSignalSync(signal()).size, size);
    assert.is(orchestrator.processSignalSync(signal({ signal: -1 })).size, -size);
  }
  await orchestrator.stop();
});

test('a signal that does not pay its cost, or of a model without an edge, gets size 0 with the reason', async () => {
  const costly = await started({ labels: { costBps: 100 } });
  await costly.hotSwapModel(relabelled(await trainedBundle(), { edge: EDGE }));
  const answer = costly.processSignalSync(signal());
  assert.equal([answer.size, answer.sizeReason], [0, 'below-break-even']);
  await costly.hotSwapModel(relabelled(await trainedBundle(), { edge: NO_EDGE }));
  for (const side of [1, -1] as const) {
    const edgeless = costly.processSignalSync(signal({ signal: side }));
    assert.ok(edgeless.modelAvailable);
    assert.ok(Object.is(edgeless.size, 0), 'no −0');
    assert.is(edgeless.sizeReason, 'no-edge');
  }
  await costly.stop();
});

test('a market that does not move gives no size on the edge', async () => {
  const orchestrator = new ML4TOrchestrator({ dispatch: 'inline' }, { logger: silentLogger });
  await orchestrator.start();
  await orchestrator.hotSwapModel(await trainedBundle());
  for (let i = 0; i < 150; i++) {
    const price = { open: 100, high: 100, low: 100, close: 100, volume: 1 };
    orchestrator.addBar('X', { tsEventNs: bars.tsEventNs[i]!, ...price });
  }
  const answer = orchestrator.processSignalSync(signal({ timestamp: bars.tsEventNs[149]! }));
  assert.equal([answer.size, answer.sizeReason, answer.degraded], [0, 'no-volatility', undefined]);
  await orchestrator.stop();
});

test('a flat signal is answered with size 0 and the default confidence, and is not degraded', async () => {
  const orchestrator = await started({ userFeatures: ['spread'] });
  const answer = orchestrator.processSignalSync(signal({ signal: 0 }));
  assert.is(answer.size, 0);
  assert.is(answer.sizeReason, 'flat');
  assert.is(answer.metaConfidence, 0.5);
  assert.is(answer.degraded, undefined);
  await orchestrator.stop();
});

test('unknown toxicity is the configured default with a flag, in the answer and in its size', async () => {
  const orchestrator = new ML4TOrchestrator(
    { dispatch: 'inline', defaultToxicity: 0.25, sizing: { mode: 'linear' } },
    { logger: silentLogger },
  );
  await orchestrator.start();
  const silent = randomBars(150, 4, { volume: false });
  for (let i = 0; i < silent.length; i++) orchestrator.addBar('Q', silent.at(i));
  const answer = orchestrator.processSignalSync(signal({ instrumentId: 'Q', timestamp: silent.tsEventNs[149]! }));
  assert.not(answer.toxicityAvailable);
  assert.is(answer.toxicity, 0.25);
  assert.is(answer.size, 0.5 * 0.5 * 0.75 * 0.5);
  await orchestrator.stop();
});

test('an instrument seen for the first time, a short history and an old bar degrade the answer by name', async () => {
  const orchestrator = await started();
  const cases: [Partial<SignalEvent>, EnrichedSignalEvent['degraded']][] = [
    [{ instrumentId: 'new' }, 'insufficient-history'],
    [{ timestamp: bars.tsEventNs[98]! }, 'insufficient-history'],
    [{ timestamp: bars.tsEventNs[99]! }, undefined],
    [{ timestamp: bars.tsEventNs[0]! - 1n }, 'insufficient-history'],
    [{ timestamp: lastNs + 4n * MINUTE_NS }, 'stale-bars'],
    [{ timestamp: lastNs + 2n * MINUTE_NS }, undefined],
  ];
  for (const [fields, reason] of cases) {
    const answer = orchestrator.processSignalSync(signal(fields));
    assert.is(answer.degraded, reason);
    if (reason === undefined) continue;
    assert.is(answer.metaConfidence, 0.5);
    assert.is(answer.size, 0);
    assert.is(answer.sizeReason, reason);
  }
  assert.equal(orchestrator.totals.degraded, { 'insufficient-history': 3, 'stale-bars': 1 });
  assert.is(orchestrator.totals.answered, 6);
  await orchestrator.stop();
});

test('a window the ring has lapped is called stale, never read', async () => {
  const orchestrator = await started({ store: { barsPerInstrument: 128 } });
  assert.is(orchestrator.processSignalSync(signal({ timestamp: bars.tsEventNs[150]! })).degraded, 'stale-window');
  assert.is(orchestrator.processSignalSync(signal()).degraded, undefined);
  await orchestrator.stop();
});

test('bars that come with a signal are stored first, and the answer sees them', async () => {
  const orchestrator = new ML4TOrchestrator({ dispatch: 'inline', vpin: FAST_VPIN }, { logger: silentLogger });
  await orchestrator.start();
  const answer = orchestrator.processSignalSync(signal({ bars: bars.slice(0, 200), timestamp: bars.tsEventNs[199]! }));
  assert.is(answer.degraded, undefined);
  assert.is(answer.asOfSequence, 199);
  assert.ok(answer.toxicityAvailable);
  const known = await started({ vpin: FAST_VPIN });
  assert.is(known.processSignalSync(signal({ timestamp: bars.tsEventNs[199]! })).toxicity, answer.toxicity);
  await orchestrator.stop();
  await known.stop();
});

test('a signal that is refused names its field and leaves nothing behind', async () => {
  const orchestrator = await started({ userFeatures: ['spread'] });
  const features = { spread: 0.1 };
  const newer = fixtureBars(400, 9).slice(250, 400);
  const wrong: [unknown, string, string][] = [
    [signal({ instrumentId: '' }), 'INVALID_SIGNAL', 'instrumentId'],
    [{ ...signal({ features }), signal: 2 }, 'INVALID_SIGNAL', 'signal'],
    [{ ...signal({ features }), signal: Number.NaN }, 'INVALID_SIGNAL', 'signal'],
    [{ ...signal({ features }), timestamp: 17 }, 'INVALID_SIGNAL', 'timestamp'],
    [signal({ features, signalId: '' }), 'INVALID_SIGNAL', 'signalId'],
    [signal({ bars: newer }), 'MISSING_FEATURE', 'features.spread'],
    [{ ...signal(), features: { spread: '0.1' } }, 'MISSING_FEATURE', 'features.spread'],
    [signal({ features, bars: bars.slice(0, 99) }), 'TOO_FEW_BARS', 'bars'],
  ];
  for (const [event, code, field] of wrong) {
    const refusal = await refusalOf(() => orchestrator.processSignal(event as SignalEvent));
    assert.is(refusal.code, code);
    assert.is(refusal.field, field);
  }
  assert.is(orchestrator.totals.answered, 0);
  assert.is(
    Object.values(orchestrator.totals.refused).reduce((sum, count) => sum + count, 0),
    wrong.length,
  );
  const answer = orchestrator.processSignalSync(
    signal({ features, timestamp: newer.tsEventNs[149]!, signalId: 'mine' }),
  );
  assert.is(answer.asOfSequence, 299, 'the bars of a refused signal were not stored');
  assert.is(answer.signalId, 'mine');
  await orchestrator.stop();
});

test('the features of a signal are copied at admission, and NaN means missing', async () => {
  const orchestrator = await started({ userFeatures: ['spread'] });
  const features = { spread: 1 };
  const answer = orchestrator.processSignalSync(signal({ features }));
  features.spread = 2;
  assert.is(answer.signalEvent.features?.spread, 1);
  assert.is(orchestrator.processSignalSync(signal({ features: { spread: Number.NaN } })).degraded, undefined);
  await orchestrator.stop();
});

test('generated signal ids are unique and echoed in the event', async () => {
  const orchestrator = await started();
  const answers = Array.from({ length: 1000 }, () => orchestrator.processSignalSync(signal()));
  assert.is(new Set(answers.map(({ signalId }) => signalId)).size, 1000);
  for (const { signalId, signalEvent } of answers) assert.is(signalEvent.signalId, signalId);
  await orchestrator.stop();
});

test('a swapped model serves the next signal under a new generation, and the event says from which', async () => {
  const orchestrator = await started();
  const swaps: unknown[] = [];
  orchestrator.events.on('modelSwapped', (swap) => swaps.push(swap));
  const first = await trainedBundle();
  const second = await bundleFor({ training: { seed: 2 } });
  await orchestrator.hotSwapModel(first);
  const before = orchestrator.processSignalSync(signal());
  await orchestrator.hotSwapModel(second);
  const after = orchestrator.processSignalSync(signal());
  assert.equal([before.generation, after.generation], [1, 2]);
  assert.equal([before.modelId, after.modelId], [first.modelId, second.modelId]);
  assert.is.not(before.metaConfidence, after.metaConfidence);
  assert.equal(swaps, [
    { generation: 1, modelId: first.modelId, from: '' },
    { generation: 2, modelId: second.modelId, from: first.modelId },
  ]);
  await orchestrator.stop();
});

test('a model for other features is refused and the serving one stays', async () => {
  const orchestrator = await started();
  const serving = await trainedBundle();
  await orchestrator.hotSwapModel(serving);
  const other = await bundleFor({ featureNames: ['volatility', 'side'] });
  assert.is((await refusalOf(() => orchestrator.hotSwapModel(other))).code, 'MODEL_FEATURES_DIFFER');
  assert.is((await refusalOf(() => orchestrator.hotSwapModel(new Uint8Array(100)))).code, 'MODEL_CORRUPT');
  assert.is(orchestrator.processSignalSync(signal()).modelId, serving.modelId);
  await orchestrator.stop();
});

test('a model is stored before it serves, and taken up again at the next start', async () => {
  const modelPath = mkdtempSync(join(tmpdir(), 'ml4t-models-'));
  const bundle = await trainedBundle();
  const first = await started({ modelPath });
  await first.hotSwapModel(bundle);
  const answer = first.processSignalSync(signal());
  await first.stop();

  const second = await started({ modelPath });
  assert.is(second.model?.modelId, bundle.modelId);
  assert.is(second.processSignalSync(signal()).metaConfidence, answer.metaConfidence);
  await second.stop();
  rmSync(modelPath, { recursive: true });
});

test('a damaged or foreign stored model is logged with its code and the system starts without one', async () => {
  const modelPath = mkdtempSync(join(tmpdir(), 'ml4t-models-'));
  const writer = await started({ modelPath });
  await writer.hotSwapModel(await trainedBundle());
  await writer.stop();

  const foreign = capturedLog();
  const other = await started({ modelPath, featureNames: ['volatility', 'side'] }, foreign.logger);
  assert.is(other.model, null);
  assert.ok(foreign.lines.some(({ code }) => code === 'MODEL_FEATURES_DIFFER'));
  await other.stop();

  const [file] = readdirSync(modelPath).filter((name) => name.endsWith('.ml4t'));
  writeFileSync(join(modelPath, file!), 'half a model');
  const damaged = capturedLog();
  const cold = await started({ modelPath }, damaged.logger);
  assert.is(cold.model, null);
  assert.ok(damaged.lines.some(({ code }) => code === 'MODEL_CORRUPT'));
  assert.not(cold.processSignalSync(signal()).modelAvailable);
  await cold.stop();
  rmSync(modelPath, { recursive: true });
});

test('a model that cannot be stored does not serve', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ml4t-models-'));
  const modelPath = join(directory, 'file');
  writeFileSync(modelPath, 'a file where the directory should be');
  const orchestrator = await started({ modelPath });
  assert.is((await refusalOf(async () => orchestrator.hotSwapModel(await trainedBundle()))).code, 'MODEL_NOT_SAVED');
  assert.not(orchestrator.processSignalSync(signal()).modelAvailable);
  await orchestrator.stop();
  rmSync(directory, { recursive: true });
});

test('training announces progress and a verdict, and installs what the verdict says', async () => {
  const orchestrator = await started({ vpin: { nBuckets: 5 }, training: { rounds: 10 } });
  const seen: string[] = [];
  orchestrator.events.on('trainingProgress', ({ step }) => seen.push(step));
  orchestrator.events.on('verdict', ({ verdict }) => seen.push(verdict));
  orchestrator.events.on('modelSwapped', () => seen.push('modelSwapped'));
  const result = await orchestrator.train({ instrumentId: 'X', bars: randomBars(1200, 3), primarySignal: 'momentum' });
  assert.ok(seen.includes('folds'));
  assert.equal(seen.slice(-2), [result.report.verdict.verdict, 'modelSwapped']);
  assert.is(orchestrator.model?.modelId, result.model?.modelId);
  assert.is(result.meetsMinimumAccuracy(0), true);
  assert.is(result.meetsMinimumAccuracy(1), false);
  await orchestrator.stop();
});

test('a refused training serves the base rate, at size 0, and what it knows of the instrument', async () => {
  const orchestrator = await started({ firstModel: 'strict', vpin: FAST_VPIN, training: { rounds: 5 } });
  const { model, report } = await orchestrator.train({
    instrumentId: 'X',
    bars: fixtureBars(1200, 3),
    primarySignal: 'momentum',
  });
  assert.is(report.verdict.verdict, 'refused');
  const answer = orchestrator.processSignalSync(signal());
  assert.ok(answer.modelAvailable && answer.regimeAvailable && answer.toxicityAvailable);
  assert.ok(Math.abs(answer.metaConfidence - model!.baseRate) < 2e-16);
  assert.equal([answer.size, answer.sizeReason, answer.modelId], [0, 'no-edge', model!.modelId]);
  await orchestrator.stop();
});

test('every further training of the same instruments is held to a stricter test, of others to the first', async () => {
  const orchestrator = await started({ training: { rounds: 1, trainBars: 600, testBars: 200 } });
  const alphaOf = async (...ids: string[]): Promise<number> => {
    const series = ids.map((instrumentId, k) => ({
      instrumentId,
      bars: fixtureBars(1000, 40 + k),
      primarySignal: 'momentum' as const,
    }));
    return firstVerdict((await orchestrator.train(series)).report).finding.alpha;
  };
  const first = await alphaOf('A');
  const ratios = [await alphaOf('A'), await alphaOf('B'), await alphaOf('A', 'B'), await alphaOf('B', 'A')].map(
    (alpha) => Math.round(first / alpha),
  );
  assert.equal(ratios, [4, 1, 1, 4]);
  await orchestrator.stop();
});

test('a listener that throws is logged and the signal is answered all the same', async () => {
  const { logger, lines } = capturedLog();
  const orchestrator = await started({}, logger);
  orchestrator.events.on('enriched', () => {
    throw new Error('listener');
  });
  assert.is(orchestrator.processSignalSync(signal()).signalEvent.instrumentId, 'X');
  assert.ok(lines.some(({ msg }) => msg === 'a listener threw'));
  await orchestrator.stop();
});

test('every call needs start() before it and is refused after stop(), which may be repeated', async () => {
  const orchestrator = new ML4TOrchestrator({ dispatch: 'inline' }, { logger: silentLogger });
  const calls = [
    () => orchestrator.processSignal(signal()),
    () => orchestrator.processSignalSync(signal()),
    () => orchestrator.addBar('X', bars.at(0)),
    () => orchestrator.train({ instrumentId: 'X', bars, primarySignal: 'momentum' }),
    async () => orchestrator.hotSwapModel(await trainedBundle()),
  ];
  for (const call of calls) assert.is((await refusalOf(call)).code, 'NOT_STARTED');
  const starting = orchestrator.start();
  assert.throws(
    () => orchestrator.processSignalSync(signal()),
    (error: { code: string }) => error.code === 'NOT_STARTED',
  );
  await starting;
  await orchestrator.start();
  await orchestrator.stop();
  await orchestrator.stop();
  for (const call of calls) assert.is((await refusalOf(call)).code, 'STOPPED');
  assert.is((await refusalOf(() => orchestrator.start())).code, 'STOPPED');
});

test('what is no signal at all is refused with a code, one or many', async () => {
  const orchestrator = await started();
  for (const [call, field] of [
    [() => orchestrator.processSignal(null as unknown as SignalEvent), 'event'],
    [() => orchestrator.processSignal('buy' as unknown as SignalEvent), 'event'],
    [() => orchestrator.processSignals('buy' as unknown as SignalEvent[]), 'events'],
    [() => orchestrator.processSignals([signal(), null as unknown as SignalEvent]), 'events[1].event'],
  ] as const) {
    const refusal = await refusalOf(call);
    assert.equal([refusal.code, refusal.field], ['INVALID_SIGNAL', field]);
  }
  assert.is(orchestrator.totals.answered, 0);
  await orchestrator.stop();
});

test('stop() cancels a running training', async () => {
  const orchestrator = await started({ training: { rounds: 5000, earlyStoppingRounds: null } });
  const begun = new Promise<void>((resolve) => orchestrator.events.once('trainingProgress', () => resolve()));
  const refusal = refusalOf(() =>
    orchestrator.train({ instrumentId: 'X', bars: randomBars(3000, 3), primarySignal: 'momentum' }),
  );
  await begun;
  await orchestrator.stop();
  assert.is((await refusal).code, 'STOPPED');
});

test.run();
