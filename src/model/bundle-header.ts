import { z } from 'zod';
import { OrchestratorError } from '../errors.js';
import { FOREST_DEPTH_MAX } from './forest.js';

const bigint = z
  .string()
  .regex(/^-?\d+$/)
  .transform(BigInt);
/** JSON has no NaN: an undefined metric is null in the file. */
const metric = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);

const fraction = z.number().min(0).max(1);

const headerSchema = z.object({
  kind: z.enum(['trees', 'base-rate']),
  createdAtNs: bigint.optional(),
  featureNames: z.array(z.string()),
  featureFingerprint: z.string(),
  labels: z.object({
    ptMultiplier: z.number(),
    slMultiplier: z.number(),
    maxHoldingBars: z.number(),
    touch: z.enum(['close', 'high-low']),
    entry: z.enum(['signal-close', 'next-open']),
    costBps: z.number(),
    minReturn: z.number(),
    labelCost: z.enum(['gross', 'net']),
  }),
  trainingStartNs: bigint,
  trainingEndNs: bigint,
  instrumentIds: z.array(z.string()),
  baseRate: z.number().min(0).max(1),
  seed: z.number(),
  boosterParameters: z.record(z.string(), z.number()),
  rounds: z.number(),
  calibration: z.object({ baseMargin: z.number(), lambda: z.number().min(0).max(1) }),
  evidence: z.enum(['none', 'provisional', 'forced', 'strict']),
  edge: z.object({ intercept: z.number(), slope: z.number(), squareWon: z.number(), squareLost: z.number() }),
  regime: z
    .object({
      stateCount: z.int().min(1).max(3),
      names: z.array(z.enum(['volatile', 'trending', 'reverting', 'ranging'])),
      weights: z.array(fraction),
      stationary: z.array(fraction),
      transition: z.array(fraction),
      mean: z.array(z.number()),
      variance: z.array(z.number().positive()),
      scales: z.array(z.string()),
    })
    .refine(({ stateCount: n, names, weights, stationary, transition, mean, variance }) =>
      [
        names.length,
        weights.length,
        stationary.length,
        transition.length / n,
        mean.length / 2,
        variance.length / 2,
      ].every((size) => size === n),
    )
    .nullable(),
  toxicityQuantiles: z.array(z.string()),
  importance: z.record(z.string(), z.number()),
  metrics: z.object({
    nFolds: z.number(),
    nSamples: z.number(),
    effectiveN: metric,
    accuracy: metric,
    majorityAccuracy: metric,
    auc: metric,
    logLoss: metric,
    baseRateLogLoss: metric,
    brier: metric,
    baseRateBrier: metric,
  }),
  meanConcurrency: z.number().min(1),
  detectors: z
    .object({
      labelsPerFalseAlarm: z.number().positive(),
      skillThreshold: z.number().positive().nullable(),
      rateThreshold: z.number().positive(),
      rateAllowance: z.number().min(0),
      verified: z.object({ labels: z.number(), lower: z.number(), upper: z.number() }),
    })
    .nullable(),
  forest: z.object({
    baseMargin: z.number(),
    depth: z.int().min(1).max(FOREST_DEPTH_MAX),
    treeCount: z.int().min(0).max(1_000_000),
    featureCount: z.int().min(1).max(0x7fff),
  }),
});

/** The header as it is in the file: of what is kept by instrument, only the names. */
export type FileHeader = z.output<typeof headerSchema>;

/** Throws MODEL_CORRUPT. */
export function parseHeader(bytes: Uint8Array): FileHeader {
  try {
    return headerSchema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new OrchestratorError('MODEL_CORRUPT', 'the bundle header cannot be read', { field: 'model', cause: error });
  }
}

/**
 * Keys sorted, bigint as decimal strings: equal content is equal bytes, whoever put it together.
 */
export function canonicalJson(content: object): string {
  return JSON.stringify(content, (_key, value: unknown) => {
    if (typeof value === 'bigint') return value.toString();
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(sortedEntries(value as Record<string, unknown>));
  });
}

export function sortedEntries<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
