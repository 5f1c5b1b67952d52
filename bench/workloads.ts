import { seededUniform } from '../src/random.js';

/** `labelled-rows`: seeded encoded rows with missing values, and labels that depend on the first three columns. */
export function labelledRows(
  rowCount: number,
  columnCount: number,
  seed: number,
): { rows: Float32Array; labels: Uint8Array } {
  const random = seededUniform(seed);
  const rows = new Float32Array(rowCount * columnCount);
  const labels = new Uint8Array(rowCount);
  for (let r = 0; r < rowCount; r++) {
    let score = 0;
    for (let c = 0; c < columnCount; c++) {
      const value = random() < 0.03 ? Number.NaN : 4 * random() - 2;
      rows[r * columnCount + c] = value;
      if (c < 3 && !Number.isNaN(value)) score += value;
    }
    labels[r] = random() < 1 / (1 + Math.exp(-score)) ? 1 : 0;
  }
  return { rows, labels };
}
