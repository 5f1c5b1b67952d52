import { OrchestratorError } from '../errors.js';
import { seededUniform } from '../random.js';

/**
 * Percentile interval of a statistic of a dependent sequence by the circular block bootstrap (Politis & Romano 1992): indices are resampled in blocks of
 * `blockLength` neighbours, wrapping at the end. `statistic` gets the resampled indices. Seeded, so equal calls give equal intervals. Throws OUT_OF_RANGE.
 */
export function blockBootstrapInterval(
  length: number,
  statistic: (indices: Int32Array) => number,
  options: { blockLength: number; resamples: number; level: number; seed: number },
): readonly [lower: number, upper: number] {
  const { blockLength, resamples, level, seed } = options;
  if (!(blockLength >= 1 && resamples >= 1 && level > 0 && level < 1)) {
    throw new OrchestratorError('OUT_OF_RANGE', 'blockLength and resamples from 1 up, level inside (0, 1)', {
      field: 'options',
    });
  }
  if (length === 0) return [Number.NaN, Number.NaN];
  const random = seededUniform(seed);
  const indices = new Int32Array(length);
  const values = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    for (let k = 0; k < length; ) {
      const start = Math.floor(random() * length);
      for (let b = 0; b < blockLength && k < length; b++) indices[k++] = (start + b) % length;
    }
    values[r] = statistic(indices);
  }
  values.sort();
  const at = (share: number): number =>
    values[Math.min(resamples - 1, Math.max(0, Math.round(share * (resamples - 1))))]!;
  return [at((1 - level) / 2), at((1 + level) / 2)];
}
