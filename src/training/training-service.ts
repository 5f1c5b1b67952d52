import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../clock.js';
import { type ErrorRecord, toErrorRecord } from '../errors.js';
import { BarSeries, toSharedBars } from '../market/bar.js';
import { type TrainedModel, type TrainingProgress, type TrainingRequest, trainModel } from './train-model.js';
import type { TrainingSeries } from './training-series.js';
import { runTrial, type TrialRequest, type TrialResult } from './trial.js';

/** A request as it crosses to the training thread: a bar series becomes its columns, which lie in shared memory. */
export type TrainingMessage = Omit<TrainingRequest, 'series'> & { readonly series: readonly SeriesMessage[] };
export type TrialMessage = Omit<TrialRequest, 'series'> & { readonly series: readonly SeriesMessage[] };
type SeriesMessage = Omit<TrainingSeries, 'bars'> & {
  readonly bars: Pick<BarSeries, 'tsEventNs' | 'open' | 'high' | 'low' | 'close' | 'volume'>;
};

export type Reply<T> =
  | { readonly kind: 'done'; readonly result: T }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };

/** What the training thread offers to the main thread. */
export interface TrainingService {
  /**
   * Trains one model. `cancel` is one Int32 in shared memory, since a busy thread hears no message: not 0 means stop. Progress goes to `progress`
   * without waiting for anyone. Never rejects; a failure is a reply.
   */
  train(message: TrainingMessage, cancel: SharedArrayBuffer, progress: MessagePort): Promise<Reply<TrainedModel>>;

  /** Tests a model that is there already. Never rejects. */
  try(message: TrialMessage): Promise<Reply<TrialResult>>;
}

export const trainingService: TrainingService = {
  async train(message, cancel, progress) {
    const cancelWord = new Int32Array(cancel);
    const hooks = {
      clock: systemClock,
      onProgress: (update: TrainingProgress) => progress.postMessage(update),
      isCancelled: () => Atomics.load(cancelWord, 0) !== 0,
    };
    const reply = await replyOf(() => trainModel({ ...message, series: message.series.map(fromSeriesMessage) }, hooks));
    progress.close();
    return reply;
  },

  try(message) {
    return replyOf(() => runTrial({ ...message, series: message.series.map(fromSeriesMessage) }));
  },
};

async function replyOf<T>(work: () => T | Promise<T>): Promise<Reply<T>> {
  try {
    return { kind: 'done', result: await work() };
  } catch (error) {
    return { kind: 'failed', error: toErrorRecord(error, 'TRAINING_FAILED') };
  }
}

function fromSeriesMessage(series: SeriesMessage): TrainingSeries {
  return { ...series, bars: BarSeries.from(series.bars) };
}

export function toSeriesMessage(series: TrainingSeries): SeriesMessage {
  const { tsEventNs, open, high, low, close, volume } = toSharedBars(series.bars);
  return { ...series, bars: { tsEventNs, open, high, low, close, volume } };
}
