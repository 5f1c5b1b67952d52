import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Calibration, calibrated, runLength } from '../../bench/tables/detector-figures.js';
import { SimulatedLabels } from '../../bench/tables/simulated-labels.js';
import { calibrateDetectors, lostVariance, recentredIncrements } from '../../src/drift/detector-calibration.js';
import { seededUniform } from '../../src/random.js';
import { baseRateOf, rocAuc } from '../../src/validation/metrics.js';
import { refusalOf } from '../support/refusal.js';
import { DETECTOR_HISTORIES, FALSE_ALARMS } from '../support/sizes.js';

const DIAL = 500;

function inputOf(labels: number, overlap = 1, champion: Calibration['champion'] = 'edge') {
  return {
    ...new SimulatedLabels(champion, overlap, 3).history(labels),
    meanConcurrency: overlap,
    labelsPerFalseAlarm: DIAL,
    seed: 1,
  };
}

test('the simulated champion has the base rate, the edge and the overlap it is said to have', () => {
  for (const overlap of [1, 6]) {
    const { metaLabel, confidence } = new SimulatedLabels('edge', overlap, 1).history(200_000);
    assert.ok(Math.abs(baseRateOf(metaLabel) - 0.35) < 0.01);
    assert.ok(Math.abs(rocAuc(metaLabel, confidence) - 0.6) < 0.01);
    const mean = baseRateOf(metaLabel);
    const covariance = (lag: number): number => {
      let sum = 0;
      for (let k = lag; k < metaLabel.length; k++) sum += (metaLabel[k]! - mean) * (metaLabel[k - lag]! - mean);
      return sum / metaLabel.length;
    };
    assert.is(covariance(1) / covariance(0) > 0.5, overlap === 6);
    assert.ok(Math.abs(covariance(6) / covariance(0)) < 0.02, 'labels that share nothing are independent');
  }
});

for (const overlap of [1, 3, 6]) {
  test(`labels per false alarm are the dial within a fifth when the process is known, at overlap ${overlap}`, () => {
    const calibration = {
      champion: 'edge',
      overlap,
      historyLabels: 200_000,
      labelsPerFalseAlarm: DIAL,
      seed: 11,
    } as const;
    const run = runLength(calibrated(calibration), calibration, FALSE_ALARMS);
    assert.ok(Math.abs(run / DIAL - 1) < 0.2, `${run} labels`);
  });
}

test('of calibrations on 5,000 labels four in five alarm at most twice as often as dialled', () => {
  let enough = 0;
  for (let seed = 1; seed <= DETECTOR_HISTORIES; seed++) {
    const calibration = { champion: 'edge', overlap: 1, historyLabels: 5000, labelsPerFalseAlarm: DIAL, seed } as const;
    if (runLength(calibrated(calibration), calibration, 200) >= DIAL / 2) enough++;
  }
  assert.ok(enough >= 0.8 * DETECTOR_HISTORIES, `${enough} of ${DETECTOR_HISTORIES}`);
});

test('a calibration that forgets the order of overlapping labels alarms several times as often as dialled', () => {
  const known = inputOf(100_000, 6);
  const random = seededUniform(4);
  const order = Array.from(known.metaLabel.keys());
  for (let k = order.length - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    [order[k], order[other]] = [order[other]!, order[k]!];
  }
  const shuffled = {
    ...known,
    metaLabel: Uint8Array.from(order, (k) => known.metaLabel[k]!),
    confidence: Float64Array.from(order, (k) => known.confidence[k]!),
  };
  const trial = { champion: 'edge', overlap: 6, historyLabels: 0, labelsPerFalseAlarm: DIAL, seed: 5 } as const;
  const run = runLength(calibrateDetectors(shuffled)!, trial, FALSE_ALARMS);
  assert.ok(run < DIAL / 3, `${run} labels`);
});

test('each detector is set for more than the dial, and both together for the dial', () => {
  const plan = calibrateDetectors(inputOf(20_000))!;
  assert.is(plan.labelsPerFalseAlarm, DIAL);
  assert.is(plan.rateAllowance, 0.025);
  // 400 alarms know a mean to 5 %; both the dial's and the verifying streams err.
  assert.ok(Math.abs(plan.verified.labels / DIAL - 1) < 0.22, `${plan.verified.labels}`);
  const trial = { champion: 'edge', overlap: 1, historyLabels: 0, labelsPerFalseAlarm: DIAL, seed: 5 } as const;
  const rateAlone = runLength({ ...plan, skillThreshold: null }, trial, FALSE_ALARMS);
  const skillAlone = runLength({ ...plan, rateThreshold: 1e9 }, trial, FALSE_ALARMS);
  for (const alone of [rateAlone, skillAlone]) {
    assert.ok(alone > 1.4 * DIAL && alone < 2.6 * DIAL, `${rateAlone} and ${skillAlone}`);
  }
});

test('detectors that alarm together still have the dial together, and other streams say so', () => {
  const { metaLabel, baseRate, ...input } = inputOf(20_000);
  // A confidence that is always ten points high: the skill CUSUM is a multiple of a base-rate one.
  const confidence = baseRate.map((p) => p + 0.1);
  const verified = [1, 2, 3].map(
    (seed) => calibrateDetectors({ ...input, metaLabel, baseRate, confidence, seed })!.verified.labels / DIAL,
  );
  const mean = verified.reduce((sum, ratio) => sum + ratio, 0) / verified.length;
  assert.ok(Math.abs(mean - 1) < 0.12, `${verified}`);
  assert.ok(
    verified.some((ratio) => Math.abs(ratio - 1) > 0.01),
    'the streams of the calibration itself hit the dial exactly',
  );
});

test('the interval of the verified dial is that of 400 alarms', () => {
  const { labels, lower, upper } = calibrateDetectors(inputOf(5000))!.verified;
  // χ² with 800 degrees of freedom has its 2.5 % and 97.5 % points at 723.513 and 880.275.
  assert.ok(Math.abs(lower / ((800 * labels) / 880.2753) - 1) < 1e-5);
  assert.ok(Math.abs(upper / ((800 * labels) / 723.5126) - 1) < 1e-5);
});

test('a champion that only knows its base rate has one detector, which has the dial for itself', () => {
  const input = inputOf(20_000, 1, 'base-rate');
  const plan = calibrateDetectors(input)!;
  assert.is(plan.skillThreshold, null);
  assert.ok(plan.rateThreshold < calibrateDetectors(inputOf(20_000))!.rateThreshold);
  const trial = { champion: 'base-rate', overlap: 1, historyLabels: 0, labelsPerFalseAlarm: DIAL, seed: 5 } as const;
  const run = runLength(plan, trial, FALSE_ALARMS);
  assert.ok(Math.abs(run / DIAL - 1) < 0.2, `${run} labels`);
  const rounded = { ...input, confidence: input.confidence.map((p) => p + 1e-9) };
  assert.is(calibrateDetectors(rounded)!.skillThreshold, null, 'a rounding error is no confidence of its own');
});

test('increments have the means that confidences imply, however wrong these were out of sample', () => {
  const input = inputOf(5000);
  const wrong = { ...input, confidence: input.confidence.map((p) => p + 0.1) };
  for (const labels of [input, wrong]) {
    const { skill, residual } = recentredIncrements(labels, 0);
    const meanOf = (values: Float64Array): number => values.reduce((sum, x) => sum + x, 0) / values.length;
    assert.ok(Math.abs(meanOf(residual)) < 1e-12);
    // Σ p·ln(p₀/p) + (1 − p)·ln((1 − p₀)/(1 − p)), written out.
    const implied = meanOf(labels.confidence.map((p) => p * Math.log(0.35 / p) + (1 - p) * Math.log(0.65 / (1 - p))));
    assert.ok(implied < 0 && Math.abs(meanOf(skill) - implied) < 1e-12);
  }
  const thresholds = [input, wrong].map((labels) => calibrateDetectors(labels)!.rateThreshold);
  assert.ok(Math.abs(thresholds[0]! / thresholds[1]! - 1) < 0.05, `${thresholds}`);
});

test('a finite history is spread by what resampling it around its own mean loses', () => {
  const input = inputOf(1000);
  const [whole, spread] = [0, 0.19].map((lost) => recentredIncrements(input, lost));
  const variance = (values: Float64Array): number => {
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    return values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  };
  for (const column of ['skill', 'residual'] as const) {
    assert.ok(Math.abs(variance(spread![column]) / variance(whole![column]) - 1 / 0.81) < 1e-9, column);
  }
  assert.equal([lostVariance(5000, 50), lostVariance(100, 250)], [99 / 5000, 0.75]);
});

test('sums over many labels of a history keep their variance on average, which blocks of its own mean alone would not', () => {
  const [labels, meanBlock, histories] = [400, 50, 300];
  const stay = 1 - 1 / meanBlock;
  let kept = 0;
  for (let seed = 1; seed <= histories; seed++) {
    const random = seededUniform(seed);
    const metaLabel = Uint8Array.from({ length: labels }, () => Number(random() < 0.5));
    const confidence = new Float64Array(labels).fill(0.5);
    const { residual } = recentredIncrements(
      { metaLabel, confidence, baseRate: confidence },
      lostVariance(labels, meanBlock),
    );
    // Long-run variance of the stationary bootstrap: circular autocovariances weighted by the chance that both labels are of one block.
    for (let lag = 0; lag < labels; lag++) {
      let sum = 0;
      for (let k = 0; k < labels; k++) sum += residual[k]! * residual[(k + lag) % labels]!;
      // Every turn of the circle counts, forwards and backwards.
      const weight = stay ** lag / (1 - stay ** labels);
      kept += ((lag === 0 ? 2 * weight - 1 : 2 * weight) * sum) / labels / histories;
    }
  }
  assert.ok(Math.abs(kept / 0.25 - 1) < 0.1, `${kept} of 0.25`);
});

test('a rarer false alarm takes higher thresholds', () => {
  const [often, seldom] = [200, 2000].map(
    (labelsPerFalseAlarm) => calibrateDetectors({ ...inputOf(5000), labelsPerFalseAlarm })!,
  );
  assert.ok(often!.rateThreshold < seldom!.rateThreshold && often!.skillThreshold! < seldom!.skillThreshold!);
});

test('equal input gives equal plans, and another seed other ones', () => {
  const input = inputOf(2000);
  assert.equal(calibrateDetectors(input), calibrateDetectors(input));
  assert.not.equal(calibrateDetectors({ ...input, seed: 2 }), calibrateDetectors(input));
});

test('too few labels and labels of one class give no plan', () => {
  assert.is(calibrateDetectors(inputOf(199)), null);
  assert.not.equal(calibrateDetectors(inputOf(200)), null);
  for (const label of [0, 1]) {
    const input = inputOf(500);
    assert.is(calibrateDetectors({ ...input, metaLabel: input.metaLabel.fill(label) }), null);
  }
});

test('a champion that is never wrong by more than the allowance gives no plan, and one that hardly ever is gives one that is not dearer', () => {
  const input = inputOf(1000);
  const sure = Float64Array.from(input.metaLabel, (y) => (y === 1 ? 0.99 : 0.01));
  assert.is(calibrateDetectors({ ...input, confidence: sure }), null);
  sure[0] = 1 - sure[0]!;
  const plan = calibrateDetectors({ ...input, confidence: sure })!;
  assert.ok(plan.rateThreshold > 0 && Number.isFinite(plan.verified.upper), JSON.stringify(plan));
});

test('labels that hang together for longer than the history lasts still end in a plan', () => {
  const plan = calibrateDetectors({ ...inputOf(200), meanConcurrency: 1000 })!;
  assert.ok(plan.rateThreshold > 0 && plan.verified.labels > 0, JSON.stringify(plan));
});

test('what cannot be calibrated on is refused by name', async () => {
  const input = inputOf(300);
  for (const [wrong, code, field] of [
    [{ confidence: new Float64Array(299) }, 'LENGTH_MISMATCH', 'confidence'],
    [{ baseRate: new Float64Array(301) }, 'LENGTH_MISMATCH', 'confidence'],
    [{ metaLabel: input.metaLabel.map((y) => 2 * y) }, 'OUT_OF_RANGE', 'metaLabel'],
    [{ confidence: input.confidence.map(() => Number.NaN) }, 'OUT_OF_RANGE', 'confidence'],
    [{ baseRate: input.baseRate.map(() => 1.5) }, 'OUT_OF_RANGE', 'baseRate'],
    [{ meanConcurrency: Number.NaN }, 'OUT_OF_RANGE', 'meanConcurrency'],
    [{ labelsPerFalseAlarm: 0 }, 'OUT_OF_RANGE', 'labelsPerFalseAlarm'],
    [{ labelsPerFalseAlarm: Number.POSITIVE_INFINITY }, 'OUT_OF_RANGE', 'labelsPerFalseAlarm'],
  ] as const) {
    const refusal = await refusalOf(() => calibrateDetectors({ ...input, ...wrong }));
    assert.equal([refusal.code, refusal.field], [code, field]);
  }
});

test.run();
