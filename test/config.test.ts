import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConfigError, OrchestratorConfig, type OrchestratorConfigInput } from '../src/config.js';
import { FEATURE_NAMES } from '../src/features/feature-row.js';

/** Input as it would come from a file, where nothing checks its types. */
function untyped(text: string): OrchestratorConfigInput {
  return JSON.parse(text) as OrchestratorConfigInput;
}

function configErrorOf(call: () => unknown): ConfigError {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

function pathsOf(input: OrchestratorConfigInput): string[] {
  return configErrorOf(() => OrchestratorConfig.parse(input)).issues.map(({ path }) => path);
}

function withFile(text: string, use: (file: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'ml4t-config-'));
  try {
    const file = join(directory, 'config.json');
    writeFileSync(file, text);
    use(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('an empty configuration is the defaults', () => {
  assert.equal(OrchestratorConfig.parse(), {
    modelPath: null,
    dataDir: null,
    defaultConfidence: 0.5,
    defaultRegimeWeight: 0.5,
    defaultToxicity: 0.5,
    retrainAccuracyDropThreshold: 0.1,
    retrainMinSamples: 1000,
    retrainIntervalBars: null,
    retrain: {
      mode: 'auto',
      labelsPerFalseAlarm: 20_000,
      sampleCount: null,
      intervalMs: null,
      cooldownBars: 500,
      barsMax: 60_000,
      testBars: null,
      primarySignal: null,
      maxTestsPerYear: 24,
      errorPerYear: 0.05,
    },
    retention: { days: 400, signals: 2_000_000, barsPerInstrument: 2_000_000 },
    outcomeExpiryNs: 604_800_000_000_000n,
    inferenceTimeoutMs: 250,
    dispatch: 'auto',
    workers: null,
    outstandingMax: null,
    inlineShareMax: 0.5,
    wakeUpUs: 60,
    workerHangMs: 2000,
    latencyBudgetMs: 10,
    barAgeMaxNs: null,
    awaitBarMs: 500,
    featureNames: [...FEATURE_NAMES],
    userFeatures: [],
    firstModel: 'provisional',
    labels: {
      ptMultiplier: 2,
      slMultiplier: 1,
      maxHoldingBars: 10,
      touch: 'high-low',
      entry: 'next-open',
      costBps: 0,
      minReturn: 0,
      labelCost: 'gross',
    },
    vpin: { barsPerBucket: 25, volumeWindow: 1440, nBuckets: 50, sigmaWindow: 50 },
    training: {
      trainBars: null,
      testBars: null,
      embargoBars: 0,
      expanding: false,
      rounds: 80,
      earlyStoppingRounds: null,
      maxDepth: 3,
      eta: 0.05,
      subsample: 0.5,
      colsampleByTree: 0.7,
      lambda: 10,
      gamma: 0,
      minChildWeight: 25,
      seed: 42,
      queuedMax: 4,
      lookAhead: 'refuse',
    },
    sizing: {
      mode: 'edge',
      kappa: 0.25,
      maxFraction: 1,
      exponent: 0.5,
      fractionalKelly: 0.5,
      minSize: 0.01,
      maxSize: 1,
    },
    store: { instrumentsMax: 4096, barsPerInstrument: 1024 },
    redis: {
      url: null,
      cluster: [],
      options: {},
      mode: 'streams',
      dialect: 'plain',
      encoding: 'json',
      partition: '0',
      group: 'ml4t',
      topicStreams: [],
      signalsChannel: 'nautilus:signals',
      barsChannel: 'nautilus:bars',
      enrichedChannel: 'nautilus:enriched_signals',
      rejectedChannel: 'nautilus:rejected_signals',
      signalType: 'PrimarySignal',
      signalInstruments: {},
      barSpec: '1-MINUTE-LAST',
      barSource: 'EXTERNAL',
      inFlightMax: 1024,
      payloadBytesMax: 1_048_576,
      leaseMs: 5000,
      seenSeconds: 86_400,
      inputKeep: 1_000_000,
      outputKeep: 1_000_000,
      answerWhenRecorded: false,
    },
  });
});

test('a value given inside a group leaves the rest of the group at its defaults', () => {
  const { training } = OrchestratorConfig.parse({ training: { rounds: 7 } });
  assert.equal(training, { ...OrchestratorConfig.parse().training, rounds: 7 });
});

test('every invalid value is reported at once by its path', () => {
  const error = configErrorOf(() =>
    OrchestratorConfig.parse(
      untyped(`{
        "defaultConfidence": 1.1,
        "modelPath": "",
        "featureNames": ["volatility", "astrology"],
        "labels": { "ptMultiplier": 0, "touch": "wick" },
        "training": { "rounds": 1.5, "maxDepth": 9, "eta": 0 },
        "store": { "barsPerInstrument": 1000 }
      }`),
    ),
  );
  assert.is(error.code, 'CONFIG_INVALID');
  const paths = error.issues.map(({ path }) => path).sort();
  assert.equal(paths, [
    'defaultConfidence',
    'featureNames.1',
    'labels.ptMultiplier',
    'labels.touch',
    'modelPath',
    'store.barsPerInstrument',
    'training.eta',
    'training.maxDepth',
    'training.rounds',
  ]);
  for (const path of paths) assert.match(error.message, path);
  assert.ok(paths.includes(error.field ?? ''), `the field ${error.field} is one of them`);
});

const OUT_OF_RANGE: readonly (readonly [string, string])[] = [
  ['defaultConfidence', '{"defaultConfidence":-0.1}'],
  ['defaultRegimeWeight', '{"defaultRegimeWeight":2}'],
  ['defaultToxicity', '{"defaultToxicity":null}'],
  ['retrainAccuracyDropThreshold', '{"retrainAccuracyDropThreshold":0.6}'],
  ['retrainAccuracyDropThreshold', '{"retrainAccuracyDropThreshold":0}'],
  ['retrainMinSamples', '{"retrainMinSamples":99}'],
  ['retrainIntervalBars', '{"retrainIntervalBars":0}'],
  ['inferenceTimeoutMs', '{"inferenceTimeoutMs":0}'],
  ['latencyBudgetMs', '{"latencyBudgetMs":"10"}'],
  ['featureNames', '{"featureNames":[]}'],
  ['userFeatures.0', '{"userFeatures":[""]}'],
  ['labels.maxHoldingBars', '{"labels":{"maxHoldingBars":2.5}}'],
  ['labels.costBps', '{"labels":{"costBps":-1}}'],
  ['vpin.nBuckets', '{"vpin":{"nBuckets":0}}'],
  ['training.maxDepth', '{"training":{"maxDepth":0}}'],
  ['training.subsample', '{"training":{"subsample":0}}'],
  ['training.colsampleByTree', '{"training":{"colsampleByTree":1.01}}'],
  ['training.seed', '{"training":{"seed":2147483648}}'],
  ['training.queuedMax', '{"training":{"queuedMax":0}}'],
  ['training.earlyStoppingRounds', '{"training":{"earlyStoppingRounds":0}}'],
  ['firstModel', '{"firstModel":"never"}'],
  ['sizing.mode', '{"sizing":{"mode":"kelly"}}'],
  ['sizing.kappa', '{"sizing":{"kappa":0}}'],
  ['sizing.kappa', '{"sizing":{"kappa":1.01}}'],
  ['sizing.maxFraction', '{"sizing":{"maxFraction":0}}'],
  ['sizing.maxFraction', '{"sizing":{"maxFraction":1.01}}'],
  ['sizing.maxSize', '{"sizing":{"maxSize":0}}'],
  ['store.barsPerInstrument', '{"store":{"barsPerInstrument":64}}'],
  ['store.instrumentsMax', '{"store":{"instrumentsMax":1e400}}'],
];

test('a value outside its range, or of another type, is refused by its path', () => {
  for (const [path, text] of OUT_OF_RANGE) assert.equal(pathsOf(untyped(text)), [path], text);
});

test('a feature named twice is refused', () => {
  const error = configErrorOf(() => OrchestratorConfig.parse({ featureNames: ['volatility', 'volatility'] }));
  assert.is(error.code, 'CONFIG_INVALID');
});

test('an unknown key is refused by its name, at the top and inside a group', () => {
  const top = configErrorOf(() => OrchestratorConfig.parse(untyped('{"defaultConfidance":0.4}')));
  assert.match(top.message, 'defaultConfidance');
  const nested = configErrorOf(() => OrchestratorConfig.parse(untyped('{"training":{"round":5}}')));
  assert.equal(
    nested.issues.map(({ path }) => path),
    ['training'],
  );
  assert.match(nested.message, 'round');
});

test('a configuration is frozen all the way down', () => {
  const config = OrchestratorConfig.parse({ userFeatures: ['spread'] });
  const groups = [config, ...Object.values(config)].filter((value) => typeof value === 'object' && value !== null);
  assert.ok(groups.length >= 8);
  for (const group of groups) assert.ok(Object.isFrozen(group));
  assert.throws(() => Reflect.apply(Array.prototype.push, config.userFeatures, ['more']), TypeError);
});

test('the input is neither frozen nor changed, and does not reach into the configuration', () => {
  const input = { userFeatures: ['spread'], training: { rounds: 3 } };
  const config = OrchestratorConfig.parse(input);
  input.userFeatures.push('depth');
  input.training.rounds = 9;
  assert.equal(input, { userFeatures: ['spread', 'depth'], training: { rounds: 9 } });
  assert.equal(config.userFeatures, ['spread']);
  assert.is(config.training.rounds, 3);
});

test('the file gives way to the environment and both to the overrides, field by field', () => {
  const text =
    '{"defaultConfidence":0.1,"defaultToxicity":0.1,"latencyBudgetMs":1,"training":{"rounds":11,"seed":11,"eta":0.11}}';
  withFile(text, (file) => {
    const environment = {
      ML4T_DEFAULT_CONFIDENCE: '0.2',
      ML4T_DEFAULT_TOXICITY: '0.2',
      ML4T_TRAINING__ROUNDS: '22',
      ML4T_TRAINING__SEED: '22',
    };
    const overrides = { defaultConfidence: 0.3, training: { rounds: 33 } };
    const config = OrchestratorConfig.load({ file, environment, overrides });
    assert.equal([config.defaultConfidence, config.defaultToxicity, config.latencyBudgetMs], [0.3, 0.2, 1]);
    const { rounds, seed, eta, maxDepth } = config.training;
    assert.equal([rounds, seed, eta, maxDepth], [33, 22, 0.11, 3]);
  });
});

test('without a file, an environment or overrides the defaults are loaded', () => {
  assert.equal(OrchestratorConfig.load(), OrchestratorConfig.parse());
});

test('early stopping is turned off again by null, in the file and in the environment', () => {
  withFile('{"training":{"earlyStoppingRounds":7}}', (file) => {
    const environment = { ML4T_TRAINING__EARLY_STOPPING_ROUNDS: 'null' };
    assert.is(OrchestratorConfig.load({ file }).training.earlyStoppingRounds, 7);
    assert.is(OrchestratorConfig.load({ file, environment }).training.earlyStoppingRounds, null);
  });
});

test('an override that is undefined overrides nothing', () => {
  withFile('{"defaultConfidence":0.1}', (file) => {
    const overrides = JSON.parse('{}') as OrchestratorConfigInput;
    Object.assign(overrides, { defaultConfidence: undefined });
    assert.is(OrchestratorConfig.load({ file, overrides }).defaultConfidence, 0.1);
  });
});

test('environment variables name nested fields and hold JSON or plain text', () => {
  const config = OrchestratorConfig.load({
    environment: {
      ML4T_MODEL_PATH: '/var/lib/models',
      ML4T_LABELS__PT_MULTIPLIER: '1.5',
      ML4T_LABELS__TOUCH: 'close',
      ML4T_FIRST_MODEL: 'strict',
      ML4T_SIZING__MAX_FRACTION: '0.75',
      ML4T_TRAINING__EARLY_STOPPING_ROUNDS: '12',
      ML4T_TRAINING__EXPANDING: 'true',
      ML4T_TRAINING__COLSAMPLE_BY_TREE: '0.5',
      ML4T_USER_FEATURES: '["spread"]',
      ML4T_STORE__BARS_PER_INSTRUMENT: '256',
    },
  });
  assert.is(config.modelPath, '/var/lib/models');
  assert.is(config.labels.ptMultiplier, 1.5);
  assert.is(config.labels.touch, 'close');
  assert.is(config.labels.slMultiplier, 1);
  assert.is(config.firstModel, 'strict');
  assert.is(config.sizing.maxFraction, 0.75);
  assert.is(config.training.earlyStoppingRounds, 12);
  assert.is(config.training.expanding, true);
  assert.is(config.training.colsampleByTree, 0.5);
  assert.equal(config.userFeatures, ['spread']);
  assert.is(config.store.barsPerInstrument, 256);
});

test('a variable with the prefix that names no field is refused, and others are not looked at', () => {
  const { message } = configErrorOf(() => OrchestratorConfig.load({ environment: { ML4T_DEFAULT_CONFIDANCE: '0.4' } }));
  assert.match(message, 'defaultConfidance');
  const environment = { ML4T_LOG_LEVEL: 'debug', ML4T_TEST_SIZE: 'full', PATH: '/bin', ml4t_default_confidence: '0.4' };
  assert.equal(OrchestratorConfig.load({ environment }), OrchestratorConfig.parse());
});

test('an invalid value in the environment is refused by its path', () => {
  const { issues } = configErrorOf(() => OrchestratorConfig.load({ environment: { ML4T_TRAINING__ROUNDS: 'many' } }));
  assert.equal(
    issues.map(({ path }) => path),
    ['training.rounds'],
  );
});

test('a file that is missing, is no JSON or holds no object is refused', () => {
  assert.is(configErrorOf(() => OrchestratorConfig.load({ file: join(tmpdir(), 'ml4t-none.json') })).field, '(file)');
  for (const text of ['{"defaultConfidence":0.1', 'null', '5', '[]']) {
    withFile(text, (file) => {
      const error = configErrorOf(() => OrchestratorConfig.load({ file }));
      assert.is(error.code, 'CONFIG_INVALID', text);
    });
  }
});

test('the age of bars is taken as a number, as text and as a bigint', () => {
  for (const barAgeMaxNs of [90_000_000_000, '90000000000', 90_000_000_000n]) {
    const input = { barAgeMaxNs } as OrchestratorConfigInput;
    assert.is(OrchestratorConfig.parse(input).barAgeMaxNs, 90_000_000_000n);
  }
  const environment = { ML4T_BAR_AGE_MAX_NS: '90000000000' };
  assert.is(OrchestratorConfig.load({ environment }).barAgeMaxNs, 90_000_000_000n);
});

test('an age of bars that is no positive whole number is refused by its path', () => {
  for (const text of ['0', '-5', '1.5', '"soon"', '""', '{}', '[]']) {
    assert.equal(pathsOf(untyped(`{"barAgeMaxNs":${text}}`)), ['barAgeMaxNs'], text);
  }
});

test('a user feature that is built in or named twice is refused', () => {
  for (const userFeatures of [['toxicity'], ['spread', 'depth', 'spread']]) {
    const { issues } = configErrorOf(() => OrchestratorConfig.parse({ userFeatures }));
    assert.equal(
      issues.map(({ path }) => path),
      ['userFeatures'],
    );
    assert.match(issues[0]!.message, userFeatures[0]!);
  }
});

test('a bus has one server, named by its scheme, and is told nothing about what it cannot do', () => {
  assert.equal(pathsOf({ redis: { url: 'http://x' } }), ['redis.url']);
  assert.equal(pathsOf({ redis: { url: 'redis://a', cluster: ['redis://b'] } }), ['redis.url']);
  assert.equal(pathsOf({ redis: { cluster: ['redis://b'], topicStreams: ['a'] } }), ['redis.topicStreams']);
  assert.equal(pathsOf({ redis: { cluster: ['redis://b'], mode: 'pubsub' } }), ['redis.mode']);
  assert.equal(pathsOf({ redis: { partition: 'a}b' } }), ['redis.partition']);
  assert.is(OrchestratorConfig.parse({ redis: { partition: 1 } }).redis.partition, '1');
  assert.equal(pathsOf({ redis: { url: 'redis://a', answerWhenRecorded: true } }), ['redis.answerWhenRecorded']);
});

test('channels of pub/sub have different names, but bars and signals may come over the same', () => {
  OrchestratorConfig.parse({ redis: { signalsChannel: 'a', barsChannel: 'a' } });
  // The bus would refuse its own replies, or a client could not tell them apart.
  for (const [taken, reply] of [
    ['signalsChannel', 'enrichedChannel'],
    ['signalsChannel', 'rejectedChannel'],
    ['barsChannel', 'enrichedChannel'],
    ['barsChannel', 'rejectedChannel'],
    ['enrichedChannel', 'rejectedChannel'],
  ]) {
    assert.equal(pathsOf({ redis: { [taken!]: 'a', [reply!]: 'a' } }), [`redis.${reply}`]);
  }
});

test('an address that the client library cannot read is refused; what is encoded in it can be read', () => {
  for (const url of ['redis://secret:x@h:port', 'redis://u:secret%@h', 'rediss://se%cret:x@h', 'redis://[']) {
    assert.equal(pathsOf({ redis: { url } }), ['redis.url'], url);
    assert.equal(pathsOf({ redis: { cluster: ['redis://a', url] } }), ['redis.cluster.1'], url);
  }
  for (const url of ['redis://u:100%25@h:1/2', 'rediss://:p%40ss@[::1]:6379', 'redis://h?family=6']) {
    assert.is(OrchestratorConfig.parse({ redis: { url } }).redis.url, url);
  }
});

test('an error about an address does not repeat it: it may hold a password', () => {
  const urls = ['http://user:secret@x', 'redis://user:secret@x:port', 'redis://user:secret%@x', 'redis://:secret@'];
  for (const url of [...urls, 'redis://:%zzsecret@ho st']) {
    const error = configErrorOf(() => OrchestratorConfig.parse({ redis: { url } }));
    assert.is(error.code, 'CONFIG_INVALID');
    assert.not.match(JSON.stringify({ ...error, message: error.message, stack: error.stack }), 'secret');
  }
});

test('what the client library is to be given is handed on as it is, certificates too', () => {
  const ca = Buffer.from('certificate');
  const { redis } = OrchestratorConfig.parse({ redis: { options: { tls: { ca }, username: 'u' } } });
  assert.is((redis.options.tls as { ca: Buffer }).ca, ca);
});

test.run();
