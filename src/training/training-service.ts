import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../clock.js';
import { type ErrorRecord, toErrorRecord } from '../errors.js';
import { BarSeries, toSharedBars } from '../market/bar.js';
import { type TrainedModel, type TrainingRequest, trainModel } from './train-model.js';
import type { TrainingSeries } from './training-set.js';

/** A request as it crosses to the training thread: a bar series becomes its columns, which lie in shared memory. */
export type TrainingMessage = Omit<TrainingRequest, 'series'> & { readonly series: readonly SeriesMessage[] };
type SeriesMessage = Omit<TrainingSeries, 'bars'> & {
  readonly bars: Pick<BarSeries, 'tsEventNs' | 'open' | 'high' | 'low' | 'close' | 'volume'>;
};

export type TrainingReply =
  | { readonly kind: 'trained'; readonly trained: TrainedModel }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };

/** What the training thread offers to the main thread. */
export interface TrainingService {
  /**
   * Trains one model. `cancel` is one Int32 in shared memory, since a busy thread hears no message: not 0 means stop. Progress goes to `progress`
   * without waiting for anyone. Never rejects; a failure is a reply.
   */
  train(message: TrainingMessage, cancel: SharedArrayBuffer, progress: MessagePort): Promise<TrainingReply>;
}

export const trainingService: TrainingService = {
  async train(message, cancel, progress) {
    const cancelWord = new Int32Array(cancel);
    try {
      const series = message.series.map((one) => ({ ...one, bars: BarSeries.from(one.bars) }));
      const trained = await trainModel(
        { ...message, series },
        {
          clock: systemClock,
          onProgress: (update) => progress.postMessage(update),
          isCancelled: () => Atomics.load(cancelWord, 0) !== 0,
        },
      );
      return { kind: 'trained', trained };
    } catch (error) {
      return { kind: 'failed', error: toErrorRecord(error, 'TRAINING_FAILED') };
    } finally {
      progress.close();
    }
  },
};

export function toSeriesMessage(series: TrainingSeries): SeriesMessage {
  const { tsEventNs, open, high, low, close, volume } = toSharedBars(series.bars);
  return { ...series, bars: { tsEventNs, open, high, low, close, volume } };
}
