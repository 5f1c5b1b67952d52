import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toSharedBars } from '../../src/market/bar.js';
import { BundleScorer } from '../../src/model/bundle.js';
import { decodeBundle } from '../../src/model/bundle-codec.js';
import { type TrainingProgress, trainModel } from '../../src/training/train-model.js';
import { TrainingLoop, type TrainingLoopOptions, type TrainOptions } from '../../src/training/training-loop.js';
import { capturedLog } from '../support/captured-log.js';
import { ManualClock } from '../support/manual-clock.js';
import { HINT, plantedPlan, plantedSeries } from '../support/planted.js';
import { refusalOf } from '../support/refusal.js';

const BARS = 1200;
const SERIES = plantedSeries(BARS, 71, 0.85);
/** Three folds, in a fraction of a second. */
const WINDOWS = { trainBars: 500, testBars: 250 };
const PLAN = plantedPlan(WINDOWS);
/** Far more rounds than any test waits for. */
const ENDLESS = plantedPlan({ rounds: 10_000_000 });
const FAULTY_WORKER = new URL('../support/faulty-training.worker.js', import.meta.url);

async function withLoop(
  options: Partial<TrainingLoopOptions>,
  use: (loop: TrainingLoop) => Promise<void>,
): Promise<void> {
  const { logger } = capturedLog();
  const loop = new TrainingLoop({ plan: PLAN, clock: new ManualClock(), logger, queuedMax: 2, ...options });
  try {
    await use(loop);
  } finally {
    await loop.close();
  }
}

/** Starts a training and waits until it is boosting; `failure` is what it ends in. */
async function startTraining(
  loop: TrainingLoop,
  options: TrainOptions = {},
): Promise<{ failure: ReturnType<typeof refusalOf> }> {
  let onProgress: TrainOptions['onProgress'];
  const boosting = new Promise<void>((resolve) => {
    onProgress = ({ step }) => {
      if (step === 'folds') resolve();
    };
  });
  const failure = refusalOf(() => loop.train(SERIES, { ...options, onProgress: (progress) => onProgress?.(progress) }));
  await Promise.race([boosting, failure]);
  return { failure };
}

test('a training on the training thread gives the bundle that trainModel gives', () =>
  withLoop({}, async (loop) => {
    const clock = new ManualClock();
    const { model, report } = await loop.train(SERIES);
    const hooks = { clock, onProgress: () => undefined, isCancelled: () => false };
    const request = {
      series: [SERIES],
      plan: PLAN,
      createdAtNs: clock.epochNs(),
      attempt: 1,
      incumbent: null,
      alpha: null,
      testedUntilNs: null,
      force: false,
    };
    const here = await trainModel(request, hooks);
    assert.is(report.verdict.verdict, 'provisional');
    assert.is(model?.modelId, decodeBundle(here.bundle!).modelId);
    assert.equal(report.folds, here.report.folds);
    const { goldenRows, goldenConfidences } = model!;
    assert.equal(new BundleScorer(model!).confidences(goldenRows), goldenConfidences);
  }));

test('progress arrives while the training runs, and its share never decreases', () =>
  withLoop({}, async (loop) => {
    const seen: TrainingProgress[] = [];
    await loop.train(SERIES, { onProgress: (progress) => seen.push(progress) });
    assert.ok(seen.length > 10, `${seen.length} reports`);
    assert.ok(seen.some(({ step }) => step === 'set') && seen.some(({ step }) => step === 'folds'));
    for (const [k, { share }] of seen.slice(1).entries()) assert.ok(share >= seen[k]!.share && share <= 1);
  }));

test('bars in ordinary buffers are still there for the caller after a training, unchanged', () =>
  withLoop({}, async (loop) => {
    const series = plantedSeries(BARS, 71, 0.85);
    await loop.train(series);
    for (const name of ['tsEventNs', 'open', 'high', 'low', 'close', 'volume'] as const) {
      assert.ok(series.bars[name].buffer instanceof ArrayBuffer);
      assert.equal(series.bars[name], SERIES.bars[name], name);
    }
    assert.equal(series.sides, SERIES.sides);
    assert.equal(series.features[HINT], SERIES.features[HINT]);
  }));

test('bars in shared memory train the same model', () =>
  withLoop({}, async (loop) => {
    const ordinary = await loop.train(SERIES);
    const shared = await loop.train({ ...SERIES, bars: toSharedBars(SERIES.bars) });
    assert.is(shared.model?.modelId, ordinary.model?.modelId);
  }));

test('several series are trained on as one', () =>
  withLoop({}, async (loop) => {
    const other = { ...plantedSeries(BARS, 72, 0.85), instrumentId: 'OTHER' };
    const { model, nSamples } = await loop.train([SERIES, other]);
    assert.equal(model?.instrumentIds, ['PLANTED', 'OTHER']);
    assert.ok(nSamples > 1.5 * (await loop.train(SERIES)).nSamples);
  }));

test('an incumbent with trees that is not beaten is kept, and what was trained is a candidate', () =>
  withLoop({ plan: plantedPlan({ ...WINDOWS, rounds: 1, eta: 0.01 }) }, async (loop) => {
    const request = {
      series: [plantedSeries(1000, 71, 0.85)],
      plan: PLAN,
      createdAtNs: 1n,
      attempt: 1,
      incumbent: null,
      alpha: null,
      testedUntilNs: null,
      force: false,
    };
    const hooks = { clock: new ManualClock(), onProgress: () => undefined, isCancelled: () => false };
    const incumbent = (await trainModel(request, hooks)).bundle;
    const { model, trained, report } = await loop.train(SERIES, { incumbent, alpha: 0.002 });
    assert.is(report.verdict.kind, 'strict');
    assert.equal([report.verdict.installs, model], [null, null]);
    assert.is.not(trained.modelId, decodeBundle(incumbent).modelId);
  }));

test('what is wrong with the input is refused with its code and its field, and the next training works', () =>
  withLoop({}, async (loop) => {
    const short = await refusalOf(() => loop.train(plantedSeries(999, 71, 0.85)));
    assert.equal([short.code, short.field], ['INSUFFICIENT_DATA', 'series']);
    const { features: _features, ...featureless } = SERIES;
    const missing = await refusalOf(() => loop.train(featureless));
    assert.equal([missing.code, missing.field], ['MISSING_FEATURE', `series[0].features.${HINT}`]);
    assert.is((await refusalOf(() => loop.train([]))).code, 'INSUFFICIENT_DATA');
    assert.is((await loop.train(SERIES)).report.verdict.verdict, 'provisional');
  }));

test('an abort cancels a running training between rounds', () =>
  withLoop({ plan: ENDLESS }, async (loop) => {
    const controller = new AbortController();
    const { failure } = await startTraining(loop, { signal: controller.signal });
    controller.abort();
    assert.is((await failure).code, 'TRAINING_CANCELLED');
  }));

test('an abort cancels a waiting training before it starts, and leaves the running one alone', () =>
  withLoop({}, async (loop) => {
    const controller = new AbortController();
    const running = loop.train(SERIES);
    let progressed = false;
    const waiting = refusalOf(() =>
      loop.train(SERIES, {
        signal: controller.signal,
        onProgress: () => {
          progressed = true;
        },
      }),
    );
    controller.abort();
    const [{ report }, { code }] = await Promise.all([running, waiting]);
    assert.is(code, 'TRAINING_CANCELLED');
    assert.not.ok(progressed);
    assert.is(report.verdict.verdict, 'provisional');
  }));

test('a signal that is aborted already starts nothing', () =>
  withLoop({}, async (loop) => {
    const { code } = await refusalOf(() => loop.train(SERIES, { signal: AbortSignal.abort() }));
    assert.is(code, 'TRAINING_CANCELLED');
  }));

test('one model is trained at a time, in the order asked for', () =>
  withLoop({}, async (loop) => {
    const events: string[] = [];
    const trainAs = async (name: string): Promise<void> => {
      const onProgress = (): void => {
        if (events[events.length - 1] !== name) events.push(name);
      };
      await loop.train(SERIES, { onProgress });
      events.push(`${name} done`);
    };
    await Promise.all(['first', 'second', 'third'].map(trainAs));
    assert.equal(events, ['first', 'first done', 'second', 'second done', 'third', 'third done']);
  }));

test('beyond the queue a training is refused, until one has ended', () =>
  withLoop({ queuedMax: 1 }, async (loop) => {
    const next = loop.train(SERIES).then(() => loop.train(SERIES));
    const waiting = loop.train(SERIES);
    const refused = refusalOf(() => loop.train(SERIES));
    const [{ code, message }, { report }] = await Promise.all([refused, next, waiting]);
    assert.is(code, 'TRAINING_QUEUE_FULL');
    assert.match(message, '1');
    assert.is(report.verdict.verdict, 'provisional');
  }));

for (const wish of ['EXIT', 'THROW']) {
  test(`a training thread that dies (${wish.toLowerCase()}) fails its training, and the next one works`, () =>
    withLoop({ workerUrl: FAULTY_WORKER }, async (loop) => {
      const dying = refusalOf(() => loop.train({ ...SERIES, instrumentId: wish }));
      const queued = loop.train(SERIES);
      const [{ code }, { report }] = await Promise.all([dying, queued]);
      assert.is(code, 'TRAINING_WORKER_DIED');
      assert.is(report.verdict.verdict, 'provisional', 'it waited behind the dying one');
      assert.is((await loop.train(SERIES)).report.verdict.verdict, 'provisional');
    }));
}

test('a training thread that cannot be started fails its training', () =>
  withLoop({ workerUrl: new URL('./no-such.worker.js', import.meta.url) }, async (loop) => {
    for (let k = 0; k < 2; k++) {
      assert.is((await refusalOf(() => loop.train(SERIES))).code, 'TRAINING_WORKER_DIED');
    }
  }));

test('a failure inside the library is reported, and the next training works', async () => {
  const plans = [{ ...PLAN, boosterParameters: { max_depth: -1 } }, PLAN];
  const options = {
    get plan() {
      return plans.shift()!;
    },
  };
  const { logger } = capturedLog();
  const loop = new TrainingLoop(Object.assign(options, { clock: new ManualClock(), logger, queuedMax: 1 }));
  const failing = refusalOf(() => loop.train(SERIES));
  const [{ code }, { report }] = await Promise.all([failing, loop.train(SERIES)]);
  assert.is(code, 'BOOSTER_FAILED');
  assert.is(report.verdict.verdict, 'provisional');
  await loop.close();
});

test('closing cancels what runs and what waits, and refuses what comes later', async () => {
  const { logger } = capturedLog();
  const loop = new TrainingLoop({ plan: ENDLESS, clock: new ManualClock(), logger, queuedMax: 2 });
  const { failure } = await startTraining(loop);
  const waiting = refusalOf(() => loop.train(SERIES));
  await loop.close();
  assert.is((await failure).code, 'STOPPED');
  assert.is((await waiting).code, 'STOPPED');
  assert.is((await refusalOf(() => loop.train(SERIES))).code, 'STOPPED');
  await loop.close();
});

test('closing a loop that never trained ends at once', async () => {
  const { logger } = capturedLog();
  const loop = new TrainingLoop({ plan: PLAN, clock: new ManualClock(), logger, queuedMax: 1 });
  await loop.close();
  assert.is((await refusalOf(() => loop.train(SERIES))).code, 'STOPPED');
});

for (const [when, outcome] of [
  ['after', 'provisional'],
  ['during', 'STOPPED'],
] as const) {
  test(`a program that closes its loop ${when} a training ends by itself`, async () => {
    const script = fileURLToPath(new URL('../support/train-and-close.js', import.meta.url));
    const child = spawn(process.execPath, [script, when], { stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const [exitCode] = (await once(child, 'close')) as [number | null];
    assert.is(exitCode, 0, 'it was not killed by the time limit');
    assert.is(output.trim(), outcome);
  });
}

test.run();
