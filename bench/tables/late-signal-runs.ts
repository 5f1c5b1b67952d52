import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { BusInput } from '../../src/bus/message-bus.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { createLogger } from '../../src/log.js';
import type { BarSeries } from '../../src/market/bar.js';
import type { EnrichedSignalEvent, OutcomeEvent, RetrainTrigger } from '../../src/market/events.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import type { Verdict } from '../../src/retrain/verdict.js';

/** What reaches the orchestrator first: the bar, or the signal that was made from it. */
export type Arrival = 'bar first' | 'signal first';

export interface LateSignalPlan {
  readonly bars: BarSeries;
  /** The strategy's side at the close of each bar, made from bars up to that one. */
  readonly sides: Int8Array;
  /** Bars that are trained on before the first signal. */
  readonly trained: number;
  readonly arrival: Arrival;
  /** Signals and bars come over a stream of this server, written in one go; null: by calls. */
  readonly redisUrl: string | null;
}

export interface LateSignalResult {
  readonly signals: number;
  /** Answers that had not seen the bar that closes at their signal's time. */
  readonly barsOld: number;
  /** Answers with a size. */
  readonly sized: number;
  /** Mean confidence of the newest answers: what was learned of the strategy. */
  readonly confidence: number;
  /** Outcomes with a meta-label, and the mean of what they made, in units of the barrier. */
  readonly outcomes: number;
  readonly meanR: number;
  /** Outcomes that say nothing. */
  readonly censored: number;
  /** Alarms by their reason, and verdicts after the first training by what they were. */
  readonly alarms: ReadonlyMap<string, number>;
  readonly verdicts: ReadonlyMap<string, number>;
  /** How often a model with trees was put into service, after the first training. */
  readonly treesServed: number;
}

const X = 'X';
const NEWEST = 1000;

/**
 * A strategy that looks at the bar that has just closed, on a system that trains, watches and promotes by itself. The next bar waits
 * until what is due in the background is done, since a minute is long.
 */
export async function lateSignalRun(plan: LateSignalPlan): Promise<LateSignalResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ml4t-late-signals-'));
  const route = plan.redisUrl === null ? null : new StreamRoute(plan.redisUrl);
  const config = { dataDir, dispatch: 'inline', ...route?.config } as const;
  const system = new ML4TOrchestrator(config, { logger: createLogger('silent') });
  try {
    await system.start();
    return await play(system, plan, route);
  } finally {
    await system.stop();
    await route?.close();
    rmSync(dataDir, { recursive: true });
  }
}

async function play(
  system: ML4TOrchestrator,
  { bars, sides, trained, arrival }: LateSignalPlan,
  route: StreamRoute | null,
): Promise<LateSignalResult> {
  await system.train({ instrumentId: X, bars: bars.slice(0, trained), sides: sides.subarray(0, trained) });
  for (let k = 0; k < trained; k++) system.addBar(X, bars.at(k));
  const tally = new Tally(system);
  for (let k = trained; k < bars.length; k++) {
    const bar: BusInput = { kind: 'bar', instrumentId: X, bar: bars.at(k) };
    const side = sides[k] as -1 | 0 | 1;
    const event = { instrumentId: X, signal: side, timestamp: bars.tsEventNs[k]!, signalId: `${k}` };
    const signal: BusInput = { kind: 'signal', event };
    const inputs = side === 0 ? [bar] : arrival === 'bar first' ? [bar, signal] : [signal, bar];
    if (route === null) await call(system, inputs);
    else await route.send(system, inputs);
    if (tally.takeDue()) await system.idle();
  }
  return tally.result();
}

/** Counts what a system says from now on. */
class Tally {
  private readonly answers = { signals: 0, barsOld: 0, sized: 0 };
  private readonly confidences: number[] = [];
  private readonly outcomes = { outcomes: 0, sumR: 0, censored: 0 };
  private readonly alarms = new Map<string, number>();
  private readonly verdicts = new Map<string, number>();
  private treesServed = 0;
  private isDue = false;

  constructor({ events }: ML4TOrchestrator) {
    events.on('enriched', (answer) => this.countAnswer(answer));
    events.on('outcomeResolved', (outcome) => this.countOutcome(outcome));
    events.on('retrainTriggered', (trigger) => this.countAlarm(trigger));
    events.on('verdict', (verdict) => this.countVerdict(verdict));
  }

  /** Whether a retrain has come due since it was asked last. */
  takeDue(): boolean {
    const { isDue } = this;
    this.isDue = false;
    return isDue;
  }

  result(): LateSignalResult {
    const { answers, alarms, verdicts, treesServed } = this;
    const { outcomes, sumR, censored } = this.outcomes;
    const newest = this.confidences.slice(-NEWEST);
    const confidence = newest.reduce((sum, one) => sum + one, 0) / newest.length;
    return { ...answers, confidence, outcomes, meanR: sumR / outcomes, censored, alarms, verdicts, treesServed };
  }

  private countAnswer({ asOfNs, signalEvent, size, metaConfidence }: EnrichedSignalEvent): void {
    this.answers.signals++;
    this.confidences.push(metaConfidence);
    if (asOfNs < signalEvent.timestamp) this.answers.barsOld++;
    if (size !== 0) this.answers.sized++;
  }

  private countOutcome({ metaLabel, grossR }: OutcomeEvent): void {
    if (metaLabel === null) this.outcomes.censored++;
    else {
      this.outcomes.outcomes++;
      this.outcomes.sumR += grossR!;
    }
  }

  private countAlarm({ reasons }: RetrainTrigger): void {
    this.isDue = true;
    for (const reason of reasons) increment(this.alarms, reason);
  }

  private countVerdict({ verdict, installs }: Verdict): void {
    increment(this.verdicts, verdict);
    if (installs === 'trees') this.treesServed++;
  }
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

async function call(system: ML4TOrchestrator, inputs: readonly BusInput[]): Promise<void> {
  for (const input of inputs) {
    if (input.kind === 'bar') system.addBar(input.instrumentId, input.bar);
    else await system.processSignal(input.event);
  }
}

/** A partition of its own on a server, with a bare client as its producer. */
class StreamRoute {
  readonly config: OrchestratorConfigInput;
  private readonly producer: Redis;
  private readonly dialect = openDialect(OrchestratorConfig.parse());
  private readonly partition = `late-signals-${process.pid}-${process.hrtime.bigint()}`;

  constructor(url: string) {
    this.config = { redis: { url, partition: this.partition } };
    this.producer = new Redis(url);
  }

  /** Writes all in one go, each with the time the server gives it; resolves when everything was brought. */
  async send(system: ML4TOrchestrator, inputs: readonly BusInput[]): Promise<void> {
    const hasSignal = inputs.some(({ kind }) => kind === 'signal');
    const answered = new Promise<void>((resolve) => {
      if (hasSignal) system.events.once('enriched', () => resolve());
      else resolve();
    });
    const pipeline = this.producer.pipeline();
    for (const input of inputs) {
      const { payload } = this.dialect.encodeInput(input);
      pipeline.xadd(`ml4t:{${this.partition}}:in`, '*', 'payload', Buffer.from(payload));
    }
    await pipeline.exec();
    await answered;
  }

  async close(): Promise<void> {
    const keys = await this.producer.keys(`ml4t:{${this.partition}}:*`);
    if (keys.length > 0) await this.producer.unlink(...keys);
    this.producer.disconnect();
  }
}
