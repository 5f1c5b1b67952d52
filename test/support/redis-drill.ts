import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OrchestratorConfigInput } from '../../src/config.js';
import { seededUniform } from '../../src/random.js';
import { openStateReader } from '../../src/state/state-store.js';
import { eventually } from './eventually.js';
import { checkStreams, expectedReplies, type Replies, type StreamFindings } from './redis-drill-check.js';
import { DRILL_FAULTS, type FaultName } from './redis-drill-faults.js';
import { type DrillMessage, drillMessages, WARM_MESSAGES } from './redis-drill-input.js';
import { withModel } from './redis-drill-models.js';
import { DrillProcess } from './redis-drill-processes.js';
import { readStreams, settled } from './redis-drill-streams.js';
import { RedisServer } from './redis-server.js';
import { TcpProxy } from './tcp-proxy.js';

/** Messages from one fault to the next at most, those that may be sent meanwhile, and those that a fault may ask for. */
const STRETCH_MESSAGES = 100;
const BESIDE_MESSAGES = 60;
const MORE_MESSAGES = 40;
const LEASE_MS = 500;

export interface RedisDrillOptions {
  readonly faults: number;
  readonly seed: number;
  /** With a data directory, or with a model file alone. */
  readonly isDurable: boolean;
  readonly redis?: OrchestratorConfigInput['redis'];
  readonly dispatch?: 'inline' | 'auto' | 'pool';
  readonly only?: readonly FaultName[];
  readonly onFault?: (count: number, name: FaultName) => void;
}

export interface RedisDrillFigures extends StreamFindings {
  readonly faults: Readonly<Record<string, number>>;
  readonly signals: number;
  /** From the kill of an owner until the next one serves. */
  readonly takeOverMsMax: number;
  readonly gaps: number;
  /** Open signals that were answered and are not recorded. */
  readonly unrecorded: readonly string[];
}

/** Sends the drill's messages through a real server while processes are killed and connections broken, and compares every reply with a run without faults. */
export async function runRedisDrill(options: RedisDrillOptions): Promise<RedisDrillFigures> {
  const root = mkdtempSync(join(tmpdir(), 'ml4t-redis-drill-'));
  const drill = await RedisDrill.prepare(root, options);
  try {
    return await drill.run();
  } finally {
    await drill.close();
    rmSync(root, { recursive: true });
  }
}

export class RedisDrill {
  readonly random: () => number;
  orchestrator!: DrillProcess;
  producer!: DrillProcess;
  takeOverMsMax = 0;
  private gaps = 0;
  private allowed = WARM_MESSAGES;
  private readonly counts: Record<string, number> = {};

  private constructor(
    private readonly root: string,
    private readonly options: RedisDrillOptions,
    private readonly messages: readonly DrillMessage[],
    private readonly expected: Replies,
    private readonly config: OrchestratorConfigInput,
    readonly server: RedisServer,
    readonly proxy: TcpProxy,
  ) {
    this.random = seededUniform(options.seed + 2);
  }

  static async prepare(root: string, options: RedisDrillOptions): Promise<RedisDrill> {
    const { faults, seed, isDurable, redis, dispatch = 'inline' } = options;
    const messages = drillMessages(
      WARM_MESSAGES + (STRETCH_MESSAGES + BESIDE_MESSAGES + MORE_MESSAGES) * (faults + 1),
      seed,
    );
    const reference = { ...(await withModel(root, 'reference', false)), dispatch: 'inline' } as const;
    const expected = await expectedReplies(messages, reference);
    const server = await RedisServer.start({ appendonly: true });
    const proxy = await TcpProxy.to(server.port);
    const config = {
      ...(await withModel(root, 'served', isDurable)),
      dispatch,
      redis: { url: proxy.url, leaseMs: LEASE_MS, ...redis },
    };
    return new RedisDrill(root, options, messages, expected, config, server, proxy);
  }

  async run(): Promise<RedisDrillFigures> {
    const { faults, only, onFault } = this.options;
    this.startOrchestrator();
    this.startProducer();
    for (let count = 0; count < faults; count++) {
      const at = this.allowed + Math.floor(STRETCH_MESSAGES * this.random());
      this.allow(at + BESIDE_MESSAGES);
      await eventually(() => this.sent >= at, `${at} messages sent`);
      if (this.random() < 0.7) await eventually(() => this.orchestrator.isUp, 'a bus that is up');
      const name = this.next(count, only);
      this.counts[name] = (this.counts[name] ?? 0) + 1;
      await DRILL_FAULTS[name](this);
      onFault?.(count + 1, name);
    }
    this.allow(this.messages.length);
    await this.producer.said('done');
    await settled(this.server);
    this.endOf(this.orchestrator);
    return this.figures();
  }

  startOrchestrator(): void {
    this.orchestrator = DrillProcess.start('redis-orchestrator-child', [JSON.stringify(this.config)]);
  }

  startProducer(): void {
    const { seed } = this.options;
    const args = [this.server.url, `${this.messages.length}`, `${seed}`, join(this.root, 'sent')];
    this.producer = DrillProcess.start('redis-producer-child', args);
    this.allow(this.allowed);
  }

  /** Some messages are yet to be sent: a fault can wait for what becomes of them. */
  allowMore(): void {
    this.allow(this.allowed + MORE_MESSAGES);
  }

  /** A kill of the owner, and the next one. */
  async replaceOrchestrator(): Promise<void> {
    const killed = this.orchestrator;
    await killed.kill();
    const killedNs = process.hrtime.bigint();
    this.endOf(killed);
    this.startOrchestrator();
    const next = this.orchestrator;
    void next.said('up').then(
      (line) => {
        const takeOverMs = Number(BigInt(line.split(' ')[1]!) - killedNs) / 1e6;
        this.takeOverMsMax = Math.max(this.takeOverMsMax, takeOverMs);
      },
      // Killed before it was up.
      () => undefined,
    );
  }

  async close(): Promise<void> {
    this.proxy.release();
    await Promise.all([this.orchestrator?.kill(), this.producer?.kill(), this.proxy.close(), this.server.stop()]);
  }

  private next(count: number, only: readonly FaultName[] = Object.keys(DRILL_FAULTS) as FaultName[]): FaultName {
    // Every kind in its turn, beginning somewhere: few faults are of different kinds.
    return only[(count + this.options.seed) % only.length]!;
  }

  private allow(count: number): void {
    this.allowed = count;
    this.producer.tell(`${count}`);
  }

  /** Messages the producer knows to be sent. */
  private get sent(): number {
    const last = this.producer.lines.at(-1) ?? '';
    const line = last.startsWith('refused') ? '' : last;
    return line === 'done' ? Number.POSITIVE_INFINITY : Number(line.split(' ')[1] ?? 0);
  }

  private endOf(orchestrator: DrillProcess): void {
    this.gaps += orchestrator.lines.filter((line) => line.startsWith('gap')).length;
  }

  private async figures(): Promise<RedisDrillFigures> {
    const findings = checkStreams(await readStreams(this.server), this.messages, this.expected);
    this.orchestrator.tell('stop');
    await this.orchestrator.said('stopped');
    const { dataDir } = this.config;
    const open = new Set([...this.expected].filter(([, reply]) => / signal=-?1 /.test(reply)).map(([id]) => id));
    const recorded = typeof dataDir === 'string' ? await recordedSignals(dataDir) : null;
    return {
      ...findings,
      violations: [...findings.violations, ...(recorded === null ? [] : recordViolations(recorded, open))],
      faults: this.counts,
      signals: this.expected.size,
      takeOverMsMax: this.takeOverMsMax,
      gaps: this.gaps,
      unrecorded: recorded === null ? [] : [...open].filter((id) => !recorded.includes(id)),
    };
  }
}

async function recordedSignals(dataDir: string): Promise<string[]> {
  const reader = openStateReader(dataDir);
  try {
    return [...reader.stored.signals()].map(({ signalId }) => signalId);
  } finally {
    await reader.close();
  }
}

/** What is recorded is an answered signal with a side, once. */
function recordViolations(recorded: readonly string[], open: ReadonlySet<string>): string[] {
  const known = new Set<string>();
  return recorded.flatMap((id) => {
    const isRight = open.has(id) && !known.has(id);
    known.add(id);
    return isRight ? [] : [`${id} is recorded twice, or without an answer`];
  });
}
