import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../config.js';
import { type TripleBarrierLabels, tripleBarrierLabels } from '../labeling/triple-barrier.js';
import type { Logger } from '../log.js';
import type { BarSeries } from '../market/bar.js';
import type { EnrichedSignalEvent } from '../market/events.js';
import { ML4TOrchestrator } from '../orchestrator.js';
import { primarySides } from '../primary/primary-signal.js';
import { simulateMarket } from '../simulation/simulated-market.js';
import { logLossOf } from '../validation/metrics.js';

export interface BreakStoryOptions {
  /** Strength of the edge before the break. */
  readonly edge: number;
  readonly seed: number;
  /** Bar at which the edge goes to 0. */
  readonly breakAt: number;
  readonly onProgress: (bar: number, bars: number) => void;
}

/** Something that happened, at the bar it happened on. */
export interface StoryEvent {
  readonly bar: number;
  readonly what: string;
}

/** What was served over a stretch of bars, on signals whose horizon closed inside it; means per signal. */
export interface StoryChapter {
  readonly name: string;
  readonly fromBar: number;
  readonly toBar: number;
  readonly signals: number;
  readonly logLoss: number;
  /** Of the base rate of the first training. */
  readonly baseRateLogLoss: number;
  /** Net return of every signal at weight 1, and at the size it was answered with, as fractions. */
  readonly equalWeight: number;
  readonly sized: number;
}

export interface BreakStory {
  readonly bars: number;
  readonly trainedBars: number;
  readonly breakAt: number;
  readonly reverseAt: number;
  readonly events: readonly StoryEvent[];
  readonly chapters: readonly StoryChapter[];
  /** Signals asked, answered, answered by default because something failed, and durably recorded. */
  readonly asked: number;
  readonly answered: number;
  readonly degraded: number;
  readonly recorded: number;
}

const INSTRUMENT = 'simulated';
/** Share of the bars before the break that the first model is trained on. */
const TRAIN_SHARE = 0.6;
/** Bars without any edge, and bars with the opposite one, for each bar before the break. */
const WITHOUT_SHARE = 0.5;
const REVERSED_SHARE = 0.6;
/** A break before this leaves too little to train on. */
export const BREAK_MIN = 4000;

/** Settings of the story, in shares of the first training's bars: a few weeks of minute bars have to hold what usually takes a year. */
function settingsFor(trainedBars: number): OrchestratorConfigInput {
  const share = (of: number): number => Math.floor(of * trainedBars);
  return {
    retrainIntervalBars: share(1 / 3),
    retrain: { barsMax: trainedBars, testBars: share(1 / 4), cooldownBars: share(1 / 8), primarySignal: 'momentum' },
    training: { trainBars: share(1 / 2), testBars: share(1 / 8) },
  };
}

/**
 * A model's life in a market whose edge is found, goes away and comes back reversed: the first training, then every bar as live, with retrains and trials run where they come due. The replay waits
 * for each, so that the story does not depend on the speed of the machine. Recorded under a directory that is removed afterwards, unless the configuration names one.
 */
export async function tellBreakStory(
  options: BreakStoryOptions,
  config: OrchestratorConfig,
  logger: Logger,
): Promise<BreakStory> {
  const { edge, seed, breakAt } = options;
  const reverseAt = breakAt + Math.floor(breakAt * WITHOUT_SHARE);
  const count = reverseAt + Math.floor(breakAt * REVERSED_SHARE);
  const edgeAt = (bar: number): number => (bar < breakAt ? edge : bar < reverseAt ? 0 : -edge);
  const bars = simulateMarket({ bars: count, edge: edgeAt, seed });
  const sides = primarySides('momentum', bars);
  const temporary = config.dataDir === null ? await mkdtemp(join(tmpdir(), 'ml4t-story-')) : null;
  const trainedBars = Math.floor(breakAt * TRAIN_SHARE);
  const told = settingsFor(trainedBars);
  const settings = OrchestratorConfig.parse({
    ...config,
    ...told,
    retrain: { ...config.retrain, ...told.retrain },
    training: { ...config.training, ...told.training },
    dataDir: config.dataDir ?? temporary,
    modelPath: null,
  });
  const orchestrator = new ML4TOrchestrator(settings, { logger });
  try {
    await orchestrator.start();
    return await liveThrough(orchestrator, bars, sides, { ...options, trainedBars, reverseAt }, settings);
  } finally {
    await orchestrator.stop();
    if (temporary !== null) await rm(temporary, { recursive: true });
  }
}

async function liveThrough(
  orchestrator: ML4TOrchestrator,
  bars: BarSeries,
  sides: Int8Array,
  story: BreakStoryOptions & Pick<BreakStory, 'trainedBars' | 'reverseAt'>,
  config: OrchestratorConfig,
): Promise<BreakStory> {
  const { trainedBars, breakAt, reverseAt } = story;
  const events: StoryEvent[] = [];
  let bar = trainedBars;
  listen(orchestrator, (what) => events.push({ bar, what }));
  for (let k = 0; k < trainedBars; k++) orchestrator.addBar(INSTRUMENT, bars.at(k));
  const first = { instrumentId: INSTRUMENT, bars: bars.slice(0, trainedBars), sides: sides.subarray(0, trainedBars) };
  const { report } = await orchestrator.train(first);
  const answers = new Map<number, EnrichedSignalEvent>();
  let asked = 0;
  for (; bar < bars.length; bar++) {
    orchestrator.addBar(INSTRUMENT, bars.at(bar));
    const signal = sides[bar] as -1 | 0 | 1;
    if (signal !== 0) {
      asked++;
      const timestamp = bars.tsEventNs[bar]!;
      answers.set(bar, await orchestrator.processSignal({ instrumentId: INSTRUMENT, signal, timestamp }));
    }
    await orchestrator.idle();
    story.onProgress(bar - trainedBars, bars.length - trainedBars);
  }
  await [...answers.values()].at(-1)?.recorded;
  const labels = tripleBarrierLabels(bars, sides, config.labels);
  const chapter = (name: string, fromBar: number, toBar: number): StoryChapter =>
    summarize(name, fromBar, toBar, labels, answers, report.baseRate);
  return {
    ...{ bars: bars.length, trainedBars, breakAt, reverseAt, events, asked },
    chapters: [
      chapter('edge found', trainedBars, breakAt),
      chapter('edge gone', breakAt, reverseAt),
      chapter('edge reversed', reverseAt, bars.length),
    ],
    answered: answers.size,
    degraded: Object.values(orchestrator.totals.degraded).reduce((sum, one) => sum + one, 0),
    recorded: orchestrator.stateMetrics?.counts.signals ?? 0,
  };
}

function listen(orchestrator: ML4TOrchestrator, tell: (what: string) => void): void {
  const { events } = orchestrator;
  events.on('retrainTriggered', ({ reasons }) => tell(`retrain triggered: ${reasons.join(', ')}`));
  events.on('verdict', ({ verdict, sentence }) => tell(`verdict ${verdict}: ${sentence}`));
  events.on('modelSwapped', ({ modelId, generation }) => {
    const { kind, evidence } = orchestrator.model!;
    tell(`model ${modelId} serves (generation ${generation}, ${kind}, evidence ${evidence})`);
  });
  events.on('rolledBack', ({ from, to, eValue }) =>
    tell(`rolled back from ${from} to ${to} (e-value ${eValue.toFixed(1)})`),
  );
}

function summarize(
  name: string,
  fromBar: number,
  toBar: number,
  labels: TripleBarrierLabels,
  answers: ReadonlyMap<number, EnrichedSignalEvent>,
  baseRate: number,
): StoryChapter {
  const sums = { signals: 0, logLoss: 0, baseRateLogLoss: 0, equalWeight: 0, sized: 0 };
  for (let k = 0; k < labels.signalBar.length; k++) {
    const at = labels.signalBar[k]!;
    const answer = answers.get(at);
    if (at < fromBar || at >= toBar || labels.horizonClosed[k] === 0 || answer === undefined) continue;
    const metaLabel = labels.metaLabel[k]!;
    const netReturn = labels.netReturn[k]!;
    sums.signals++;
    sums.logLoss += logLossOf(metaLabel, answer.metaConfidence);
    sums.baseRateLogLoss += logLossOf(metaLabel, baseRate);
    sums.equalWeight += netReturn;
    sums.sized += Math.abs(answer.size) * netReturn;
  }
  const { signals } = sums;
  return {
    ...{ name, fromBar, toBar, signals },
    logLoss: sums.logLoss / signals,
    baseRateLogLoss: sums.baseRateLogLoss / signals,
    equalWeight: sums.equalWeight / signals,
    sized: sums.sized / signals,
  };
}
