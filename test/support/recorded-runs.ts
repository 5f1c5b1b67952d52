import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../src/clock.js';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { Logger } from '../../src/log.js';
import type { LoopSnapshot } from '../../src/loop/loop-snapshot.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle } from '../../src/model/bundle-codec.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { openStateReader, type StateReader } from '../../src/state/state-store.js';
import { trainModel } from '../../src/training/train-model.js';
import { silentLogger } from './captured-log.js';
import { PLANTED_CONFIG } from './live-answers.js';
import { ManualClock } from './manual-clock.js';
import { remembered, stopAll } from './opened.js';
import { HINT, type PlantedSeries, plantedPlan } from './planted.js';

const directories: string[] = [];

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ml4t-loop-'));
  directories.push(directory);
  return directory;
}

/** For `test.after.each`: stops every system that was opened and removes what it wrote. */
export async function tidyUp(): Promise<void> {
  await stopAll();
  await Promise.all(directories.splice(0).map((directory) => rm(directory, { recursive: true, force: true })));
}

/** One instrument's market whose trainings take half a second. Nothing is retrained by itself unless the test says when. */
export const RECORDED_CONFIG = {
  ...PLANTED_CONFIG,
  training: { rounds: 6, eta: 0.3, minChildWeight: 20 },
} as const satisfies OrchestratorConfigInput;

export interface Opening {
  readonly config?: OrchestratorConfigInput;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** A system that records under the directory, started; what it says in events, in order. */
export async function openRecorded(
  dataDir: string,
  opening: Opening = {},
): Promise<{ system: ML4TOrchestrator; told: string[] }> {
  const { config = {}, clock, logger = silentLogger } = opening;
  const retrain = { labelsPerFalseAlarm: 200, cooldownBars: 100, ...config.retrain };
  const merged = { ...RECORDED_CONFIG, ...config, retrain, dataDir };
  const system = remembered(new ML4TOrchestrator(merged, { logger, ...(clock && { clock }) }));
  const told: string[] = [];
  system.events.on('retrainTriggered', ({ reason }) => told.push(`retrain: ${reason}`));
  system.events.on('verdict', ({ verdict }) => told.push(`verdict: ${verdict}`));
  system.events.on('modelSwapped', ({ from }) => told.push(from === '' ? 'served' : 'swapped'));
  system.events.on('rolledBack', ({ reason }) => told.push(`rolled back: ${reason}`));
  await system.start();
  return { system, told };
}

/** Bars of a series, each with its signal if there is one, as they would come; `after` is called with every bar. */
export async function feed(
  system: ML4TOrchestrator,
  series: PlantedSeries,
  from: number,
  to: number,
  after: (bar: number) => void | Promise<void> = () => undefined,
): Promise<EnrichedSignalEvent[]> {
  const answers: EnrichedSignalEvent[] = [];
  for (let bar = from; bar < to; bar++) {
    system.addBar(series.instrumentId, series.bars.at(bar));
    const answer = signalAt(system, series, bar);
    if (answer !== null) answers.push(answer);
    const pause = after(bar);
    if (pause !== undefined) await pause;
    if (bar % 64 === 0) await nextTurn();
  }
  await nextTurn();
  return answers;
}

/** The answer to the signal of a bar, whose id is the bar's number; null where there is none. */
export function signalAt(
  system: ML4TOrchestrator,
  { instrumentId, bars, sides, features }: PlantedSeries,
  bar: number,
): EnrichedSignalEvent | null {
  const signal = sides[bar] as -1 | 0 | 1;
  if (signal === 0) return null;
  return system.processSignalSync({
    instrumentId,
    signal,
    timestamp: bars.tsEventNs[bar]!,
    signalId: `${instrumentId} ${bar}`,
    features: { [HINT]: features[HINT]![bar]! },
  });
}

/** Trees for the recorded markets, installed untested. */
export async function treesFor(series: PlantedSeries, createdAtNs = 5n): Promise<ModelBundle> {
  const bars = series.bars.length;
  const plan = plantedPlan({ rounds: 6, trainBars: Math.floor(bars * 0.7), testBars: Math.floor(bars * 0.25) });
  const request = {
    series: [series],
    plan,
    createdAtNs,
    attempt: 1,
    incumbent: null,
    alpha: null,
    testedUntilNs: null,
    force: true,
  };
  const hooks = { clock: new ManualClock(), onProgress: () => undefined, isCancelled: () => false };
  return decodeBundle((await trainModel(request, hooks)).bundle);
}

/** What lies under a directory when nobody writes to it. */
export async function readRecorded<T>(
  dataDir: string,
  read: (stored: StateReader<LoopSnapshot>['stored']) => T | Promise<T>,
): Promise<T> {
  const reader = openStateReader<LoopSnapshot>(dataDir);
  try {
    return await read(reader.stored);
  } finally {
    await reader.close();
  }
}
