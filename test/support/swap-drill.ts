import { setImmediate as nextTurn } from 'node:timers/promises';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { BarSeries } from '../../src/market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { encodeBundle } from '../../src/model/bundle-codec.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { answerBits } from './answer-bits.js';
import { FAST_VPIN, fastTrainedBundle, fixtureBars, FIXTURE_INSTRUMENT as X } from './bundles.js';
import { silentLogger } from './captured-log.js';
import { seededRandom } from './market.js';
import { remembered } from './opened.js';
import { rivalsOf } from './rival-bundles.js';

const INSTRUMENTS = [X, 'A', 'B', 'C', 'D'];
const BARS = 300;
const QUESTIONS = 600;
const RIVALS = 6;
const BURST_MAX = 64;
/** Signals sent in the very turn in which a swap was resolved. */
const SENT_AFTER_SWAP = 8;
/** On their way at once: enough to keep every worker in the middle of something. */
const UNANSWERED_MAX = 1000;

/** What became of the signals of a drill. All but the first two and `generations` must be 0. */
export interface DrillFigures {
  signals: number;
  swaps: number;
  /** Different generations that answers came from. */
  generations: number;
  lost: number;
  doubled: number;
  /** Degraded, though nothing stands in the way of an answer. */
  degraded: number;
  /** The generation and the model id were never published together. */
  unpublished: number;
  /** Not what that one bundle answers to that signal. */
  mixed: number;
  /** Answered with a generation older than the answer before it of the same instrument. */
  backwards: number;
  /** Answered with a generation older than the one whose swap had been awaited when the signal was sent. */
  outdated: number;
}

/** Signals and swaps against one orchestrator, with every answer known beforehand. */
export class SwapDrill {
  private readonly published = new Map<number, string>();
  private generation = 0;
  private readonly random = seededRandom(5);

  private constructor(
    readonly orchestrator: ML4TOrchestrator,
    private readonly questions: readonly SignalEvent[],
    private readonly bundles: readonly Uint8Array[],
    /** By model id, the bits of the answer to every question. */
    private readonly expected: ReadonlyMap<string, readonly string[]>,
  ) {
    orchestrator.events.on('modelSwapped', ({ generation, modelId }) => {
      this.published.set(generation, modelId);
      this.generation = generation;
    });
  }

  static async open(config: OrchestratorConfigInput): Promise<SwapDrill> {
    const bars = INSTRUMENTS.map((_, k) => fixtureBars(BARS, 60 + k));
    const questions = makeQuestions(bars);
    const bundles = rivalsOf(await fastTrainedBundle(), RIVALS);
    const oracle = await started({ dispatch: 'inline' }, bars);
    const expected = new Map<string, string[]>();
    for (const bundle of bundles) {
      await oracle.hotSwapModel(bundle);
      expected.set(
        bundle.modelId,
        questions.map((question) => answerBits(oracle.processSignalSync(question))),
      );
    }
    await oracle.stop();
    const orchestrator = await started({ inferenceTimeoutMs: 20_000, ...config }, bars);
    const drill = new SwapDrill(orchestrator, questions, bundles.map(encodeBundle), expected);
    await orchestrator.hotSwapModel(drill.bundles[0]!);
    return drill;
  }

  /** Questions on which two bundles agree; only flat signals should be among them. */
  sharedAnswers(first: ModelBundle['modelId'], second: ModelBundle['modelId']): SignalEvent[] {
    const [one, other] = [this.expected.get(first)!, this.expected.get(second)!];
    const withoutId = (bits: string): string => bits.replace(/\b[0-9a-f]{16}\b/, '');
    return this.questions.filter((_, q) => withoutId(one[q]!) === withoutId(other[q]!));
  }

  get modelIds(): readonly string[] {
    return [...this.expected.keys()];
  }

  /** Sends the signals while the swaps run, neither ahead of the other. `onSwap` hears of every swap. */
  async run(signals: number, swaps: number, onSwap: (done: number) => void = () => undefined): Promise<DrillFigures> {
    const { orchestrator, questions, bundles, random } = this;
    const book = new AnswerBook(this.published, this.expected, signals);
    const listen = (answer: EnrichedSignalEvent): void => book.enter(answer);
    orchestrator.events.on('enriched', listen);
    let sent = 0;
    let resolved = 0;
    let swapped = 0;
    let awaited = this.generation;
    const send = (count: number): void => {
      for (let k = 0; k < count && sent < signals; k++) {
        const question = Math.floor(random() * questions.length);
        const signalId = book.admit(question, awaited);
        sent++;
        void orchestrator.processSignal({ ...questions[question]!, signalId }).then(() => {
          resolved++;
        });
      }
    };
    const swapping = (async () => {
      while (swapped < swaps) {
        await orchestrator.hotSwapModel(bundles[(swapped + 1) % bundles.length]!);
        awaited = this.generation;
        swapped++;
        send(SENT_AFTER_SWAP);
        onSwap(swapped);
      }
    })();
    while (sent < signals) {
      const due = Math.ceil((signals * (swapped + 1)) / swaps) - sent;
      const room = UNANSWERED_MAX - (sent - resolved);
      if (due > 0 && room > 0) send(Math.min(due, room, 1 + Math.floor(random() * BURST_MAX)));
      await nextTurn();
    }
    await swapping;
    // What is not in a lane any more will never be answered.
    while (orchestrator.dispatchMetrics.held > 0) await nextTurn();
    await nextTurn();
    orchestrator.events.off('enriched', listen);
    return { ...book.figures(), swaps: swapped, lost: signals - resolved };
  }
}

/** Compares every answer with what was admitted. */
class AnswerBook {
  private readonly questionOf: Int32Array;
  private readonly awaitedAt: Int32Array;
  private readonly answeredTimes: Uint8Array;
  private readonly newest = new Map<string, number>();
  private readonly generations = new Set<number>();
  private admitted = 0;
  private degraded = 0;
  private unpublished = 0;
  private mixed = 0;
  private backwards = 0;
  private outdated = 0;
  /** Answers that came before their generation was announced. */
  private readonly early: [number, string][] = [];

  constructor(
    private readonly published: ReadonlyMap<number, string>,
    private readonly expected: ReadonlyMap<string, readonly string[]>,
    signals: number,
  ) {
    this.questionOf = new Int32Array(signals);
    this.awaitedAt = new Int32Array(signals);
    this.answeredTimes = new Uint8Array(signals);
  }

  /** Returns the id of the signal. */
  admit(question: number, awaitedGeneration: number): string {
    this.questionOf[this.admitted] = question;
    this.awaitedAt[this.admitted] = awaitedGeneration;
    return String(this.admitted++);
  }

  enter(answer: EnrichedSignalEvent): void {
    const { generation, modelId, signalId, signalEvent } = answer;
    const k = Number(signalId);
    this.answeredTimes[k] = this.answeredTimes[k]! + 1;
    this.generations.add(generation);
    if (answer.degraded !== undefined) this.degraded++;
    // A swap is announced a moment after its model has begun to answer.
    const isAnnounced = this.published.has(generation);
    if (isAnnounced && this.published.get(generation) !== modelId) this.unpublished++;
    if (!isAnnounced) this.early.push([generation, modelId]);
    if (answerBits(answer) !== this.expected.get(modelId)?.[this.questionOf[k]!]) this.mixed++;
    if (generation < (this.newest.get(signalEvent.instrumentId) ?? 0)) this.backwards++;
    this.newest.set(signalEvent.instrumentId, generation);
    if (generation < this.awaitedAt[k]!) this.outdated++;
  }

  figures(): Omit<DrillFigures, 'swaps' | 'lost'> {
    const { admitted, degraded, mixed, backwards, outdated } = this;
    const unpublished =
      this.unpublished + this.early.filter(([generation, id]) => this.published.get(generation) !== id).length;
    const doubled = this.answeredTimes.reduce((sum, times) => sum + Math.max(0, times - 1), 0);
    const generations = this.generations.size;
    return { signals: admitted, generations, doubled, degraded, unpublished, mixed, backwards, outdated };
  }
}

function makeQuestions(bars: readonly BarSeries[]): SignalEvent[] {
  const random = seededRandom(6);
  return Array.from({ length: QUESTIONS }, () => {
    const instrument = Math.floor(random() * INSTRUMENTS.length);
    const at = 140 + Math.floor(random() * (BARS - 140));
    const side = random();
    const signal = side < 0.1 ? 0 : side < 0.55 ? 1 : -1;
    return { instrumentId: INSTRUMENTS[instrument]!, signal, timestamp: bars[instrument]!.tsEventNs[at]! };
  });
}

async function started(config: OrchestratorConfigInput, bars: readonly BarSeries[]): Promise<ML4TOrchestrator> {
  const orchestrator = new ML4TOrchestrator(
    { vpin: FAST_VPIN, store: { instrumentsMax: 16, barsPerInstrument: 512 }, sizing: { kappa: 0.0005 }, ...config },
    { logger: silentLogger },
  );
  await remembered(orchestrator).start();
  for (const [k, instrumentId] of INSTRUMENTS.entries()) {
    for (let i = 0; i < BARS; i++) orchestrator.addBar(instrumentId, bars[k]!.at(i));
  }
  return orchestrator;
}
