import { openDialect } from '../bus/open-dialect.js';
import { partitionHistory } from '../bus/redis/partition-history.js';
import { frameOf } from '../bus/redis/stream-entries.js';
import { systemClock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import { FUTURE_NS_MAX } from '../orchestrator.js';
import { featureSetOf, trainingPlanOf } from '../training/training-plan.js';
import type { TrainingSeries } from '../training/training-series.js';
import { StreamLesson, type StreamLessonCounts } from './stream-lesson.js';

/**
 * What the configured partition teaches, read by the dialect that its bus reads. Rejects as {@link
 * partitionHistory} does, and as {@link StreamLesson.toSeries} throws.
 */
export async function readStreamLesson(
  config: OrchestratorConfig,
): Promise<{ series: TrainingSeries[]; counts: StreamLessonCounts }> {
  const dialect = openDialect(config);
  const lesson = new StreamLesson(featureSetOf(trainingPlanOf(config)), systemClock.epochNs() + FUTURE_NS_MAX);
  for await (const page of partitionHistory(config.redis)) {
    for (const entry of page) {
      const frame = frameOf(entry);
      const decoded = frame === null ? null : dialect.decode(frame);
      if (decoded === null) lesson.refuse('INVALID_MESSAGE');
      else if (decoded.kind === 'invalid') lesson.refuse(decoded.error.code);
      else if (decoded.kind === 'input') lesson.hear(decoded.input);
      else lesson.passOver();
    }
  }
  return lesson.toSeries();
}
