import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { LoopSnapshot } from '../../src/loop/loop-snapshot.js';
import type { ModelRecord, VerdictRecord } from '../../src/state/records.js';
import { openStateReader } from '../../src/state/state-store.js';
import type { TrainingSeries } from '../../src/training/training-series.js';
import { fixtureBars } from './bundles.js';
import { COMMON_CONFIG } from './reference-answers.js';

export type StepTask = 'swap' | 'rollback' | 'train';

/** Where a process kills itself: before an operation on a model's file, so long after one, or in an event's listener. */
export interface StepKill {
  readonly fileStep?: number;
  readonly thenMs?: number;
  readonly event?: string;
}

const CHILD = fileURLToPath(new URL('./crash-step-child.js', import.meta.url));
const TRAINING_BARS = 1500;

export function stepConfig(dataDir: string, task: StepTask): OrchestratorConfigInput {
  const common = { dataDir, dispatch: 'inline', retrain: { mode: 'manual', labelsPerFalseAlarm: 200 } } as const;
  if (task !== 'train') return { ...COMMON_CONFIG, ...common };
  return { ...common, firstModel: 'always', training: { rounds: 5, eta: 0.3, minChildWeight: 20 } };
}

export function stepSeries(): TrainingSeries {
  return { instrumentId: 'X', bars: fixtureBars(TRAINING_BARS, 5), primarySignal: 'momentum' };
}

/** Runs the task in a process that kills itself; whether it did, and what it said. */
export async function runStep(
  dataDir: string,
  task: StepTask,
  model: string,
  { fileStep = -1, thenMs = 0, event = '' }: StepKill,
): Promise<{ readonly isKilled: boolean; readonly said: string }> {
  const input = { dataDir, task, model, fileStep, thenMs, event };
  const parameters = Object.entries(input).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(process.execPath, [CHILD, ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const signal = await new Promise<string | null>((resolve) => child.once('close', (_exitCode, name) => resolve(name)));
  return { isKilled: signal === 'SIGKILL', said };
}

/** The part of what is stored that a decision on a model changes in one step. */
export interface StoredDecisions {
  readonly models: readonly ModelRecord[];
  readonly verdicts: readonly VerdictRecord[];
  readonly attempts: number;
  readonly tokens: number;
  readonly watch: number;
}

export async function storedDecisions(dataDir: string): Promise<StoredDecisions> {
  const reader = openStateReader<LoopSnapshot>(dataDir);
  try {
    const { stored } = reader;
    const snapshot = stored.readSnapshot();
    return {
      models: [...stored.models()],
      verdicts: [...stored.verdicts()],
      attempts: Object.values(snapshot?.attempts ?? {}).reduce((sum, count) => sum + count, 0),
      tokens: (snapshot?.tokens.sets ?? []).reduce((sum, { spent }) => sum + spent.length, 0),
      watch: snapshot?.watch.serial ?? 0,
    };
  } finally {
    await reader.close();
  }
}
