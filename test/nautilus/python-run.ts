import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { eventually } from '../support/eventually.js';
import { ROOT } from '../support/readme.js';

/** What `recorded_run.py` is told. */
export interface RunSettings {
  readonly url: string;
  readonly partition: string;
  readonly encoding: 'json' | 'msgpack';
  /** Over the example's actor, over the node's own message bus with one stream or a stream for each topic, or a backtest that waits for each answer. */
  readonly way: 'actor' | 'own-bus' | 'topics' | 'backtest';
  /** Bars of the file before the first live one. */
  readonly history: number;
  readonly live: number;
  /** Between two live bars. */
  readonly seconds: number;
  /** Whether signals are published a turn of the loop behind their bar. */
  readonly isDeferred: boolean;
  /** Whether the bars of the file are put on a calendar without holes, over which no signal waits for its bar. */
  readonly isWithoutHoles: boolean;
  /** Whether the venue has four instruments and talks of more than is asked: `busy_market.py`. */
  readonly isBusy: boolean;
  /** Whether the venue leaves requests for history unanswered. */
  readonly isSilent: boolean;
}

export interface SentSignal {
  readonly signalId: string;
  readonly instrumentId: string;
  readonly side: -1 | 0 | 1;
  readonly timestamp: string;
}

/** A reply as the strategy has it, under the names of its Python class. */
export interface ReceivedReply {
  readonly name: 'EnrichedSignal' | 'RejectedSignal';
  readonly signal_id: string;
  /** Of a RejectedSignal; everything below is of an EnrichedSignal. */
  readonly code?: string;
  readonly meta_confidence: number;
  readonly regime_weight: number;
  readonly toxicity: number;
  readonly size: number;
  readonly size_reason: string;
  /** Nanoseconds, as digits. */
  readonly as_of: string;
  readonly as_of_sequence: number;
  readonly model_id: string;
  readonly degraded: string;
  readonly repeated: boolean;
}

type Line = ({ readonly kind: 'signal' } & SentSignal) | ({ readonly kind: 'reply' } & ReceivedReply);

/** A Python process with a node or a backtest, and what its strategy has sent and got. */
export class PythonRun {
  readonly signals: SentSignal[] = [];
  readonly replies: ReceivedReply[] = [];
  /** Everything else it has said. */
  talk = '';
  private isOver = false;
  private readonly end: Promise<void>;

  private constructor(private readonly child: ChildProcess) {
    createInterface({ input: child.stdio[3] as Readable }).on('line', (line) => this.read(line));
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.talk += text;
      });
    }
    this.end = once(child, 'close').then(() => {
      this.isOver = true;
    });
  }

  static start(python: string, settings: RunSettings): PythonRun {
    const script = join(ROOT, 'test/nautilus/recorded_run.py');
    const environment = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
    const child = spawn(python, [script, JSON.stringify(settings)], {
      cwd: ROOT,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    return new PythonRun(child);
  }

  /** Resolves once the condition holds; rejects with what it said when it has ended before. */
  async until(condition: () => boolean, what: string): Promise<void> {
    await eventually(() => condition() || this.isOver, `${what}; ${this.talk}`);
    if (!condition()) throw new Error(`ended without ${what}: ${this.talk}`);
  }

  /** SIGINT; resolves with the exit code. */
  async interrupted(): Promise<number | null> {
    this.child.kill('SIGINT');
    return this.ended();
  }

  async ended(): Promise<number | null> {
    await this.end;
    return this.child.exitCode;
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  private read(line: string): void {
    const parsed = JSON.parse(line) as Line;
    if (parsed.kind === 'signal') this.signals.push(parsed);
    else this.replies.push(parsed);
  }
}
