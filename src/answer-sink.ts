import type { OrchestratorConfig } from './config.js';
import type { AnswerCounts } from './inference/answer-counts.js';
import type { AnswerListener } from './inference/answer-desk.js';
import type { Logger } from './log.js';
import type { AnswerBook } from './loop/answer-book.js';
import type { EnrichedSignalEvent } from './market/events.js';

export interface AnswerSinkParts {
  readonly config: Pick<OrchestratorConfig, 'defaultConfidence'>;
  readonly counts: AnswerCounts;
  readonly logger: Logger;
  readonly book: () => AnswerBook;
  readonly announce: (answer: EnrichedSignalEvent) => void;
}

/** Where every answer goes the moment it is made: into the counts, into the book of what is followed, and to those who listen. */
export function answerSink({ config, counts, logger, book, announce }: AnswerSinkParts): AnswerListener {
  const { defaultConfidence } = config;
  let isWarned = false;
  return {
    get recording() {
      return book().recording;
    },
    answered: (answer, signal, row) => {
      counts.countAnswer(answer);
      if (!answer.modelAvailable && !isWarned) {
        isWarned = true;
        logger.warn({ defaultConfidence }, 'no model yet: signals are answered with the default confidence');
      }
      book().add(answer, signal, row);
      announce(answer);
    },
  };
}
