import { systemClock } from '../../src/clock.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import type { BarSeries } from '../../src/market/bar.js';
import { type PrimarySignalName, primarySides } from '../../src/primary/primary-signal.js';
import { type TrainedModel, trainModel } from '../../src/training/train-model.js';
import { trainingPlanOf } from '../../src/training/training-plan.js';

/** Profit and stop multiple and horizon of the tables' labels. */
export const LABELS = [
  [2, 1, 10],
  [1, 1, 20],
  [3, 2, 60],
] as const;

export type LabelTriple = (typeof LABELS)[number];

/** One training of a table: bars, primary signal and labels. */
export async function trainCell(
  bars: BarSeries,
  primary: PrimarySignalName,
  labels: LabelTriple,
  config: OrchestratorConfigInput = {},
): Promise<TrainedModel> {
  const [ptMultiplier, slMultiplier, maxHoldingBars] = labels;
  const plan = trainingPlanOf(
    OrchestratorConfig.parse({ ...config, labels: { ...config.labels, ptMultiplier, slMultiplier, maxHoldingBars } }),
  );
  const series = [{ instrumentId: 'table', bars, sides: primarySides(primary, bars) }];
  const hooks = { clock: systemClock, onProgress: () => undefined, isCancelled: () => false };
  return trainModel(
    { series, plan, createdAtNs: 0n, attempt: 1, incumbent: null, alpha: null, testedUntilNs: null, force: false },
    hooks,
  );
}

/** Prints rows as JSON with `--json`, else as columns. */
export function printTable(rows: readonly Readonly<Record<string, string | number>>[]): void {
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify(rows));
    return;
  }
  console.table(rows);
}

/** The number behind a flag of the command line. */
export function numberAfter(flag: string, byDefault: number): number {
  const at = process.argv.indexOf(flag);
  return at < 0 ? byDefault : Number(process.argv[at + 1]);
}
