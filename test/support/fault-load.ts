import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../src/clock.js';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { Logger } from '../../src/log.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { seededUniform } from '../../src/random.js';
import { silentLogger } from './captured-log.js';
import { eventually } from './eventually.js';
import { type FaultKind, type OrderedFault, orderFault, REQUEST_FAULTS } from './faults.js';
import { remembered } from './opened.js';
import {
  BAR_COUNT,
  COMMON_CONFIG,
  INSTRUMENTS,
  type ReferenceAnswers,
  signalAt,
  storeBars,
} from './reference-answers.js';
import { SignalBook } from './signal-book.js';

const FAULTY_WORKER = new URL('./faulty-inference.worker.js', import.meta.url);
/** Signals sent in one turn of the event loop, and on their way at once. */
const BURST = 32;
const OPEN_MAX = 512;
/** Publications after the faults, more than enough to come round to every slot that a dead thread could have kept. */
const SWAPS_AFTER = 20;
/** The oldest bar a signal can be answered on. */
const FIRST_BAR = 99;

export interface FaultLoad {
  readonly workers: number;
  readonly signals: number;
  /** One thread breaks of each, evenly spread over the signals, each as a new model is on its way. */
  readonly kinds: readonly FaultKind[];
  readonly workerHangMs: number;
  readonly seed: number;
  readonly bundles: readonly [ModelBundle, ModelBundle];
  readonly reference: ReferenceAnswers;
  readonly logger?: Logger;
  readonly onFault?: (kind: FaultKind, count: number) => void;
}

/** What became of the signals, as {@link faultyFigures} judges it. */
export interface FaultFigures {
  readonly sent: number;
  readonly answered: number;
  readonly missing: number;
  readonly doubled: number;
  readonly overtaking: number;
  /** Answers that are not what the system without faults gives. */
  readonly wrong: number;
  readonly degraded: number;
  readonly inline: number;
  /** Answers after a publication that came from an older model. */
  readonly outdated: number;
  readonly faults: number;
  readonly restarts: number;
  readonly poisoned: number;
  readonly swaps: number;
}

/** The names of the figures that show a signal lost, doubled, or answered otherwise than without faults; empty when all is well. */
export function faultyFigures(figures: FaultFigures): string[] {
  const zero = ['missing', 'doubled', 'overtaking', 'wrong', 'degraded', 'inline', 'outdated', 'poisoned'] as const;
  const faulty: string[] = zero.filter((name) => figures[name] !== 0);
  return figures.answered === figures.sent ? faulty : [...faulty, 'answered'];
}

/** A pool of threads that break as they are ordered to, with bars for every instrument and without a model; what is not configured is the same as for {@link ReferenceAnswers}. */
export async function startFaulty(
  config: OrchestratorConfigInput,
  dependencies: { logger?: Logger; clock?: Clock } = {},
): Promise<ML4TOrchestrator> {
  const store = { ...COMMON_CONFIG.store, ...config.store };
  const orchestrator = new ML4TOrchestrator(
    { ...COMMON_CONFIG, dispatch: 'pool', ...config, store },
    { logger: silentLogger, inferenceWorkerUrl: FAULTY_WORKER, ...dependencies },
  );
  await remembered(orchestrator).start();
  storeBars(orchestrator);
  return orchestrator;
}

/** Waits until every worker of the pool serves. */
export async function fullStrength(orchestrator: ML4TOrchestrator): Promise<void> {
  const isServing = (): boolean => orchestrator.dispatchMetrics.workers.every(({ state }) => state === 'serving');
  await eventually(isServing, 'every worker to serve');
}

/** Sends signals without a pause while threads break and models change, and gives an account of it. */
export async function runFaultLoad(load: FaultLoad): Promise<FaultFigures> {
  const { workers, workerHangMs, logger = silentLogger } = load;
  const orchestrator = await startFaulty({ workers, workerHangMs, inferenceTimeoutMs: 30_000 }, { logger });
  await orchestrator.hotSwapModel(load.bundles[0]);
  const run = new FaultRun(orchestrator, load);
  try {
    await run.sendAll();
    const outdated = await run.countOutdated();
    return run.figures(outdated);
  } finally {
    await orchestrator.stop();
  }
}

class FaultRun {
  private readonly book: SignalBook;
  private readonly random: () => number;
  private readonly faults: OrderedFault[] = [];
  private swaps = 1;
  private swapping: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly orchestrator: ML4TOrchestrator,
    private readonly load: FaultLoad,
  ) {
    this.book = new SignalBook(orchestrator);
    this.random = seededUniform(load.seed);
  }

  async sendAll(): Promise<void> {
    const { signals, kinds } = this.load;
    const spacing = Math.floor(signals / (kinds.length + 1));
    for (let due = spacing; this.book.sent < signals; ) {
      const kind = kinds[this.faults.length];
      if (kind !== undefined && this.book.sent >= due) {
        await this.breakOneThread(kind);
        due += spacing;
      }
      await this.sendBurst(Math.min(BURST, signals - this.book.sent));
    }
    await this.lastFaultIsOver();
    await this.book.allSettled();
    await this.swapping;
    await fullStrength(this.orchestrator);
  }

  /** Publishes again and again; every answer after a publication must come from what was published. */
  async countOutdated(): Promise<number> {
    let outdated = 0;
    for (let k = 0; k < SWAPS_AFTER; k++) {
      await this.swap();
      const first = this.book.sent;
      await this.sendBurst(2 * INSTRUMENTS.length);
      await this.book.allSettled();
      const answers = this.book.answers.slice(first);
      outdated += answers.filter(({ generation }) => generation !== this.swaps).length;
    }
    return outdated;
  }

  figures(outdated: number): FaultFigures {
    const { orchestrator, book, load } = this;
    const { inline, workers } = orchestrator.dispatchMetrics;
    const healthy = book.answers.filter(({ degraded }) => degraded === undefined);
    return {
      sent: book.sent,
      answered: orchestrator.totals.answered,
      ...book.faults,
      wrong: healthy.filter((answer) => load.reference.differences(answer).length > 0).length,
      degraded: book.answers.length - healthy.length,
      inline,
      outdated,
      faults: this.faults.filter(({ isOver }) => isOver).length,
      restarts: workers.reduce((sum, { restarts }) => sum + restarts, 0),
      poisoned: workers.reduce((sum, { poisoned }) => sum + poisoned, 0),
      swaps: this.swaps,
    };
  }

  /** Orders the fault while a model is on its way, once the fault before it has happened. */
  private async breakOneThread(kind: FaultKind): Promise<void> {
    await this.lastFaultIsOver();
    const fault = orderFault(kind);
    this.faults.push(fault);
    this.load.onFault?.(kind, this.faults.length);
    this.swapping = this.swapping.then(() => this.swap());
    if ((REQUEST_FAULTS as readonly string[]).includes(kind)) this.send(fault.code);
    // A thread under load may find no time to fall asleep.
    if (kind === 'idle') await this.book.allSettled();
  }

  private async lastFaultIsOver(): Promise<void> {
    const last = this.faults.at(-1);
    if (last !== undefined) await eventually(() => last.isOver, `a thread to suffer ${last.kind}`);
  }

  private async sendBurst(count: number): Promise<void> {
    for (let k = 0; k < count; k++) this.send(0);
    await nextTurn();
    if (this.book.open > OPEN_MAX) await eventually(() => this.book.open <= OPEN_MAX / 2, 'answers');
  }

  private send(code: number): void {
    const { random } = this;
    const instrument = Math.floor(random() * INSTRUMENTS.length);
    const bar = FIRST_BAR + Math.floor(random() * (BAR_COUNT - FIRST_BAR));
    void this.book.send(signalAt(instrument, bar, random() < 0.5 ? 1 : -1, code));
  }

  private async swap(): Promise<void> {
    await this.orchestrator.hotSwapModel(this.load.bundles[this.swaps % 2]!);
    this.swaps++;
  }
}
