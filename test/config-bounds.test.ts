import { availableParallelism } from 'node:os';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ConfigError,
  OrchestratorConfig,
  type OrchestratorConfigInput,
  outstandingMaxOf,
  workerCountOf,
} from '../src/config.js';
import { refusalOf } from './support/refusal.js';
import { PROPERTY_RUNS } from './support/sizes.js';

const SEED = 41;

test('more signals on their way than are answered within half the timeout are refused, by name', async () => {
  const fits = { inferenceTimeoutMs: 10, workers: 2, outstandingMax: 2000 };
  assert.is(OrchestratorConfig.parse(fits).outstandingMax, 2000);
  for (const input of [
    { ...fits, outstandingMax: 2001 },
    { ...fits, workers: 1 },
    { ...fits, inferenceTimeoutMs: 9 },
    { ...fits, dispatch: 'inline' as const },
  ]) {
    const refusal = await refusalOf(() => OrchestratorConfig.parse(input));
    assert.instance(refusal, ConfigError);
    assert.is(refusal.code, 'CONFIG_INVALID');
    assert.is(refusal.field, 'outstandingMax');
    assert.match(refusal.message, /inferenceTimeoutMs/);
  }
});

test('there are no more signals on their way than a ring may hold, nor fewer than one', async () => {
  assert.is((await refusalOf(() => OrchestratorConfig.parse({ outstandingMax: 16_385 }))).field, 'outstandingMax');
  assert.is((await refusalOf(() => OrchestratorConfig.parse({ outstandingMax: 0 }))).field, 'outstandingMax');
  const patient = OrchestratorConfig.parse({ inferenceTimeoutMs: 1e6, workers: 4 });
  assert.is(outstandingMaxOf(patient), 16_384);
  assert.is(outstandingMaxOf(OrchestratorConfig.parse({ inferenceTimeoutMs: 0.001, workers: 1 })), 1);
});

test('left out, the bound is what fits, and what fits is accepted when written out', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 1000, noNaN: true }),
      fc.integer({ min: 1, max: 128 }),
      fc.constantFrom('auto' as const, 'inline' as const, 'pool' as const),
      (inferenceTimeoutMs, workers, dispatch) => {
        const input = { inferenceTimeoutMs, workers, dispatch };
        const outstandingMax = outstandingMaxOf(OrchestratorConfig.parse(input));
        assert.is(outstandingMaxOf(OrchestratorConfig.parse({ ...input, outstandingMax })), outstandingMax);
        const served = Math.max(1, workerCountOf({ dispatch, workers }));
        assert.ok(outstandingMax === 1 || (outstandingMax * 5) / served <= (inferenceTimeoutMs * 1000) / 2);
      },
    ),
    { seed: SEED, numRuns: PROPERTY_RUNS },
  );
});

test('one core is left to main, one worker there always is, and none where main evaluates everything', () => {
  const cores = availableParallelism();
  for (const dispatch of ['auto', 'pool'] as const) {
    assert.is(workerCountOf({ dispatch, workers: null }), Math.max(1, cores - 1));
    assert.is(workerCountOf({ dispatch, workers: 7 }), 7);
  }
  assert.is(workerCountOf({ dispatch: 'inline', workers: null }), 0);
  assert.is(workerCountOf({ dispatch: 'inline', workers: 7 }), 0);
});

test('a store that no machine has the memory for, and times no timer can wait, are refused by name', () => {
  const cases: readonly (readonly [OrchestratorConfigInput, string])[] = [
    [{ store: { instrumentsMax: 1_000_000 } }, 'store.instrumentsMax'],
    [{ inferenceTimeoutMs: 2 ** 31 }, 'inferenceTimeoutMs'],
    [{ workerHangMs: 2 ** 31 }, 'workerHangMs'],
    [{ workerHangMs: 1 }, 'workerHangMs'],
  ];
  for (const [input, path] of cases) {
    assert.throws(
      () => OrchestratorConfig.parse(input),
      (error: ConfigError) => error.issues.some((issue) => issue.path === path),
    );
  }
});

test.run();
