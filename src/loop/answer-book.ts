import { OrchestratorError } from '../errors.js';
import type { AdmittedSignal } from '../inference/admission.js';
import type { Recording } from '../inference/recording.js';
import type { EnrichedSignalEvent } from '../market/events.js';

/** An answer as it was given, with what it was given on. */
export interface GivenAnswer {
  readonly answer: EnrichedSignalEvent;
  readonly signal: AdmittedSignal;
  /** The feature row the model saw; null where nothing was evaluated. */
  readonly row: Float32Array | null;
}

/** Of answers to flat signals. */
export const NOTHING_TO_RECORD: Recording = { recorded: Promise.resolve() };
/** Of answers without a data directory. */
export const NOT_RECORDED: Recording = {
  get recorded(): Promise<void> {
    return Promise.reject(new OrchestratorError('NO_DATA_DIR', 'answers are recorded only under a dataDir'));
  },
};

/** Answers that may wait before they are entered even though nobody yields: memory stays bounded. */
const WAITING_MAX = 1024;

/**
 * Takes answers off their path: what is kept of one costs a copy of its row, and everything else happens when the book is entered, before the next bar and at the latest
 * in the turn of the event loop after the next, when the answers are on their way. Answers are entered in the order they were given.
 */
export class AnswerBook {
  private waiting: GivenAnswer[] = [];
  private page: Page;
  private isScheduled = false;
  private readonly rows = new RowCopies();

  /** `enter` takes answers in and says what becomes of them. */
  constructor(private readonly enter: (answers: readonly GivenAnswer[]) => Recording) {
    this.page = new Page(this);
  }

  /** For the answers that are made now. */
  get recording(): Recording {
    return this.page;
  }

  add(answer: EnrichedSignalEvent, signal: AdmittedSignal, row: Float32Array | null): void {
    this.waiting.push({ answer, signal, row: row && this.rows.copy(row) });
    if (this.waiting.length >= WAITING_MAX) this.enterAll();
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(() => setImmediate(this.enterScheduled));
  }

  enterAll(): void {
    if (this.waiting.length === 0) return;
    const { waiting, page } = this;
    this.waiting = [];
    this.page = new Page(this);
    page.entered(this.enter(waiting));
  }

  private readonly enterScheduled = (): void => {
    this.isScheduled = false;
    this.enterAll();
  };
}

/** Rows in one piece of memory: a piece for each costs several times as much as its copy. */
const ROWS_TOGETHER = 64;

class RowCopies {
  private piece = new Float32Array(0);
  private used = 0;

  copy(row: Float32Array): Float32Array {
    if (this.used + row.length > this.piece.length) {
      this.piece = new Float32Array(ROWS_TOGETHER * row.length);
      this.used = 0;
    }
    const copy = this.piece.subarray(this.used, this.used + row.length);
    this.used += row.length;
    copy.set(row);
    return copy;
  }
}

/** The answers that are entered together. Its promise is made only for who asks. */
class Page implements Recording {
  private recording: Recording | null = null;
  private readonly asking: ((recorded: Promise<void>) => void)[] = [];

  constructor(private readonly book: AnswerBook) {}

  get recorded(): Promise<void> {
    if (this.recording === null) this.book.enterAll();
    // Asked by a listener while its own page is being entered: the answer comes when that is done.
    return this.recording?.recorded ?? new Promise((resolve) => this.asking.push(resolve));
  }

  entered(recording: Recording): void {
    this.recording = recording;
    for (const resolve of this.asking.splice(0)) resolve(recording.recorded);
  }
}
