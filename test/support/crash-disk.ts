import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { BarSeries } from '../../src/market/bar.js';
import type { SignalEvent } from '../../src/market/events.js';
import { fixtureBars } from './bundles.js';
import { eventually } from './eventually.js';

const CHILD = fileURLToPath(new URL('./crash-disk-child.js', import.meta.url));
/** Many, so that what waits for the disk is soon too much. */
export const DISK_USER_FEATURES = 2000;

const names = (count: number): string[] => Array.from({ length: count }, (_, k) => `u${k}`);
const features = Object.fromEntries(names(DISK_USER_FEATURES).map((name, k) => [name, k]));

export function diskConfig(dataDir: string, userFeatureCount: number): OrchestratorConfigInput {
  const store = { instrumentsMax: 4, barsPerInstrument: 256 };
  return { dataDir, store, dispatch: 'inline', retrain: { mode: 'manual' }, userFeatures: names(userFeatureCount) };
}

export function diskBars(): BarSeries {
  return fixtureBars(200, 2);
}

const lastNs = diskBars().tsEventNs[199]!;

export function diskSignal(k: number, userFeatureCount: number): SignalEvent {
  const event = { instrumentId: 'X', signalId: `d${k}`, signal: 1, timestamp: lastNs } as const;
  return userFeatureCount === 0 ? event : { ...event, features };
}

/** One line of what a {@link DiskChild} says. */
export type Saying = Readonly<Record<string, unknown>> & { readonly state: string };

/** A process of crash-disk-child.js whose files may have so many KiB. */
export class DiskChild {
  readonly sayings: Saying[] = [];
  private stderr = '';
  private isOver = false;

  private constructor(private readonly child: ChildProcess) {
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    createInterface({ input: child.stdout! }).on('line', (line) => this.sayings.push(JSON.parse(line) as Saying));
    child.once('close', () => {
      this.isOver = true;
    });
  }

  static start(dataDir: string, mode: 'hold' | 'fill' | 'overflow', fileKb: number | null): DiskChild {
    const limit = fileKb === null ? '' : `ulimit -S -f ${fileKb};`;
    const script = `trap '' XFSZ; ${limit} exec "$0" "$@"`;
    const parameters = ['-c', script, process.execPath, CHILD, `--dataDir=${dataDir}`, `--mode=${mode}`];
    return new DiskChild(spawn('bash', parameters, { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  /** What it says when it has come so far. */
  async until(state: string): Promise<Saying> {
    const find = (): Saying | undefined => this.sayings.find((saying) => saying.state === state);
    await eventually(() => find() !== undefined || this.isOver, `'${state}' of a process`);
    const saying = find();
    if (saying === undefined) throw new Error(`the process ended before '${state}': ${this.stderr}`);
    return saying;
  }

  /** Gives its files all the room there is. */
  async giveRoom(): Promise<void> {
    const raising = spawn('prlimit', ['--pid', `${this.child.pid}`, '--fsize=unlimited:'], { stdio: 'inherit' });
    await once(raising, 'close');
  }

  goOn(): void {
    this.child.stdin!.write('go on\n');
  }

  async kill(): Promise<void> {
    if (this.isOver) return;
    this.child.kill('SIGKILL');
    await eventually(() => this.isOver, 'a process to end');
  }
}
