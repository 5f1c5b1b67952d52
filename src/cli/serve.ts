import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeServer } from '../bus/redis/redis-client.js';
import { systemClock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import { OrchestratorError } from '../errors.js';
import { createLogger, type Logger } from '../log.js';
import { ML4TOrchestrator } from '../orchestrator.js';
import type { TrainingProgress } from '../training/train-model.js';
import type { TrainingSeries } from '../training/training-series.js';
import { NO_BUS } from './bus-options.js';
import { aborted, interruptionOrEndOfStdout } from './interruption.js';
import type { ServeEvent } from './serve-events.js';

export interface ServeParts {
  readonly config: OrchestratorConfig;
  /** What to train on when no model serves; null to serve without. */
  readonly lesson: (() => Promise<TrainingSeries>) | null;
  readonly tell: (event: ServeEvent) => void;
  readonly onProgress: (progress: TrainingProgress) => void;
  readonly onTrained: () => void;
}

/**
 * Serves one partition of the configured bus until SIGINT or SIGTERM, or until what it tells cannot be written to stdout, and stays while Redis is away. What it is to learn first, it learns before it takes messages: the first of them is answered
 * by the model. The bars of a lesson are not served: the store holds what came over the bus.
 */
export async function serve({ config, lesson, tell, onProgress, onTrained }: ServeParts): Promise<void> {
  const stop = interruptionOrEndOfStdout(systemClock);
  const logger = createLogger(process.env.ML4T_LOG_LEVEL ?? 'error');
  const isKept = config.dataDir !== null || config.modelPath !== null;
  const temporary = lesson === null || isKept ? null : await mkdtemp(join(tmpdir(), 'ml4t-model-'));
  const settings = temporary === null ? config : { ...config, modelPath: temporary };
  try {
    if (lesson !== null) await learn(settings, logger, { lesson, tell, onProgress, onTrained }, stop);
    if (!stop.aborted) await serveUntil(stop, settings, logger, tell);
  } catch (error) {
    // A stop while it trains is no failure.
    if (!(stop.aborted && error instanceof OrchestratorError && error.code === 'TRAINING_CANCELLED')) throw error;
  } finally {
    if (temporary !== null) await rm(temporary, { recursive: true, force: true });
  }
}

/** Trains the first model where there is none, apart from the bus. */
async function learn(
  config: OrchestratorConfig,
  logger: Logger,
  { lesson, tell, onProgress, onTrained }: Omit<ServeParts, 'config'>,
  stop: AbortSignal,
): Promise<void> {
  const learner = new ML4TOrchestrator({ ...config, redis: { ...config.redis, ...NO_BUS } }, { logger });
  await learner.start();
  try {
    if (learner.model !== null || learner.models.length > 0) {
      tell({ event: 'notTrained', reason: 'a model was trained before' });
      return;
    }
    const { report } = await learner.train(await lesson!(), { onProgress, signal: stop });
    tell({ event: 'trained', sentence: report.verdict.sentence });
  } finally {
    onTrained();
    await learner.stop();
  }
}

async function serveUntil(
  stop: AbortSignal,
  config: OrchestratorConfig,
  logger: Logger,
  tell: (event: ServeEvent) => void,
): Promise<void> {
  const orchestrator = new ML4TOrchestrator(config, { logger });
  try {
    await orchestrator.start();
    const { model } = orchestrator;
    const { partition, mode, dialect } = config.redis;
    tell({
      event: 'serving',
      ...{ server: describeServer(config.redis), partition, mode, dialect },
      model: model === null ? null : { modelId: model.modelId, kind: model.kind, evidence: model.evidence },
      defaultConfidence: config.defaultConfidence,
      dataDir: config.dataDir,
    });
    tellEvents(orchestrator, tell);
    await aborted(stop);
  } finally {
    await orchestrator.stop();
  }
  const totals = orchestrator.busMetrics;
  if (totals !== null) tell({ event: 'stopped', totals, roundedTimes: orchestrator.roundedTimes });
}

function tellEvents({ events }: ML4TOrchestrator, tell: (event: ServeEvent) => void): void {
  events.on('busUp', () => tell({ event: 'busUp' }));
  events.on('busDown', ({ code, reason }) => tell({ event: 'busDown', code, reason }));
  events.on('busGap', ({ missing, reason }) => tell({ event: 'busGap', missing, reason }));
  events.on('busRefused', ({ count, code, field }) => tell({ event: 'refused', count, code, field }));
  events.on('busIgnored', ({ className, topic, setting }) => {
    // What no setting takes is in the log: a node publishes much that nobody here wants.
    if (setting !== null) tell({ event: 'ignored', className, topic, setting });
  });
  events.on('heartbeatsStopped', ({ intervalMs }) => tell({ event: 'heartbeatsStopped', intervalMs }));
  events.on('heartbeatsResumed', ({ silentMs }) => tell({ event: 'heartbeatsResumed', silentMs }));
  events.on('lookAheadSuspected', (figures) => tell({ event: 'lookAheadSuspected', figures }));
  events.on('retrainTriggered', ({ reasons }) => tell({ event: 'retrainTriggered', reasons }));
  events.on('verdict', ({ verdict, sentence }) => tell({ event: 'verdict', verdict, sentence }));
  events.on('modelSwapped', ({ modelId, generation }) => tell({ event: 'modelSwapped', modelId, generation }));
  events.on('rolledBack', ({ from, to, reason }) => tell({ event: 'rolledBack', from, to, reason }));
}
