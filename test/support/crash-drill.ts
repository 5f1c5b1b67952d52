import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { OrchestratorError } from '../../src/errors.js';
import { encodeBundle } from '../../src/model/bundle-codec.js';
import { seededUniform } from '../../src/random.js';
import { crashBundles, crashEvents } from './crash-input.js';
import { CrashReference, readRun, type StoredRun } from './crash-reference.js';

const CHILD = fileURLToPath(new URL('./crash-child.js', import.meta.url));
/** A process that neither says anything nor ends for so long hangs. */
const LIFE_MS_MAX = 60_000;

export interface CrashDrillOptions {
  readonly minutes: number;
  readonly kills: number;
  readonly seed: number;
  readonly onKill?: (kills: number, when: string) => void;
}

export interface CrashFigures {
  readonly kills: number;
  /** Kills by what the process was doing. */
  readonly killed: Readonly<Record<string, number>>;
  /** Inputs that were played to their end. */
  readonly runs: number;
  readonly acknowledged: number;
  readonly restartMsMedian: number;
  /** Everything that should not be; empty when all is well. */
  readonly violations: readonly string[];
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** When a process is killed: after so many lines of what it says, or so long after it was started, and a moment later. */
interface Sentence {
  readonly lines: number;
  readonly startMs: number | null;
  readonly delayMs: number;
}

interface Life {
  readonly lines: readonly string[];
  readonly isKilled: boolean;
  readonly exitCode: number | null;
  readonly stderr: string;
  readonly startMs: number;
}

/** Plays the input in processes that are killed at random instants, each of which goes on where the one before was killed, and compares what is stored with an uninterrupted run, after each kill and at the end. */
export async function runCrashDrill({ minutes, kills, seed, onKill }: CrashDrillOptions): Promise<CrashFigures> {
  const root = mkdtempSync(join(tmpdir(), 'ml4t-crash-'));
  const drill = await CrashDrill.prepare(root, minutes, seed);
  try {
    while (drill.kills < kills) await drill.run(kills, onKill);
    return drill.figures;
  } finally {
    rmSync(root, { recursive: true });
  }
}

class CrashDrill {
  kills = 0;
  private runs = 0;
  private acknowledgedCount = 0;
  private readonly killed: Record<string, number> = {};
  private readonly violations: string[] = [];
  private readonly startMs: number[] = [];
  private readonly random: () => number;
  /** Signals of which nothing is stored. */
  private readonly flat: ReadonlySet<string>;

  private constructor(
    private readonly root: string,
    private readonly minutes: number,
    seed: number,
    private readonly reference: CrashReference,
  ) {
    this.random = seededUniform(seed);
    const signals = reference.events.flatMap((one) => (one.kind === 'signal' ? [one.event] : []));
    this.flat = new Set(signals.filter(({ signal }) => signal === 0).map(({ signalId }) => signalId));
  }

  static async prepare(root: string, minutes: number, seed: number): Promise<CrashDrill> {
    const bundles = await crashBundles();
    const models = join(root, 'models');
    mkdirSync(models);
    for (const [k, bundle] of bundles.entries()) writeFileSync(join(models, `${k}`), encodeBundle(bundle));
    const reference = await CrashReference.run(crashEvents(minutes), bundles, join(root, 'reference'));
    const drill = new CrashDrill(root, minutes, seed, reference);
    if (reference.rollbacksByEvidence > 0) drill.violations.push('the input is not what it should be');
    return drill;
  }

  get figures(): CrashFigures {
    const { kills, killed, runs, violations } = this;
    const sorted = this.startMs.toSorted((a, b) => a - b);
    return {
      ...{ kills, killed, runs, violations },
      acknowledged: this.acknowledgedCount,
      restartMsMedian: sorted[sorted.length >> 1] ?? Number.NaN,
    };
  }

  /** One input from its first event to its last, with as many kills on the way as come, `killsMax` in all at most. */
  async run(killsMax: number, onKill?: CrashDrillOptions['onKill']): Promise<void> {
    const dataDir = join(this.root, `run${this.runs}`);
    const recorded = new Set<string>();
    let serving = '';
    let [hasStarted, isDone] = [false, false];
    while (!isDone) {
      const life = await this.live(dataDir, this.kills < killsMax ? this.sentence() : null);
      for (const line of life.lines) {
        const [word, id] = line.split(' ') as [string, string];
        if (word === 'recorded') recorded.add(id);
        // The champion that serves now is the one that was last seen, or a later one: none is no longer possible.
        if (word === 'started' && serving !== '' && id === '') this.violations.push(`no champion after ${serving}`);
        if (word === 'serves' || (word === 'started' && id !== '')) serving = id;
      }
      if (life.startMs > 0) this.startMs.push(life.startMs);
      isDone = life.lines.at(-1) === 'done' && !life.isKilled;
      if (life.isKilled) this.count(life, onKill);
      else if (!isDone) {
        this.violations.push(`exit ${life.exitCode} by itself after ${life.lines.at(-1)}: ${life.stderr}`);
        break;
      }
      hasStarted ||= life.startMs > 0;
      await this.check(dataDir, recorded, hasStarted, isDone);
    }
    this.runs++;
    this.acknowledgedCount += recorded.size;
    rmSync(dataDir, { recursive: true });
  }

  private count({ lines }: Life, onKill: CrashDrillOptions['onKill']): void {
    const last = lines.at(-1)?.split(' ')[0] ?? 'loading';
    const when =
      last === 'starting'
        ? 'starting'
        : last === 'stopping' || last === 'done'
          ? last
          : last === 'loading'
            ? last
            : 'running';
    this.killed[when] = (this.killed[when] ?? 0) + 1;
    this.kills++;
    onKill?.(this.kills, when);
  }

  /** Mostly somewhere in the run; now and then while the process starts. */
  private sentence(): Sentence {
    const { random } = this;
    const delayMs = random() < 0.5 ? 0 : 20 * random();
    if (random() < 0.15) return { lines: 1, startMs: null, delayMs: 60 * random() };
    // About one line a signal.
    return { lines: 2 + Math.floor(random() * this.minutes * 0.35), startMs: null, delayMs };
  }

  private async live(dataDir: string, sentence: Sentence | null): Promise<Life> {
    const pace = String(Math.floor(this.random() * 2 ** 31));
    const input = [
      '--dataDir',
      dataDir,
      '--models',
      join(this.root, 'models'),
      '--minutes',
      String(this.minutes),
      '--pace',
      pace,
    ];
    const child: Child = spawn(process.execPath, [CHILD, ...input], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [text, stderr, startingMs, startMs] = ['', '', 0, 0];
    let isKilled = false;
    const kill = (): void => {
      isKilled = child.exitCode === null && child.kill('SIGKILL');
    };
    const limit = setTimeout(kill, LIFE_MS_MAX);
    child.stderr.setEncoding('utf8').on('data', (more: string) => {
      stderr += more;
    });
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
      if (startingMs === 0) startingMs = performance.now();
      if (startMs === 0 && text.includes('started')) startMs = performance.now() - startingMs;
      if (sentence === null || isKilled || text.split('\n').length - 1 < sentence.lines) return;
      if (sentence.delayMs === 0) kill();
      else void pause(sentence.delayMs).then(kill);
    });
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(limit);
    // A line that was cut off was not said.
    const lines = text.split('\n').slice(0, -1);
    return { lines, isKilled: isKilled && exitCode === null, exitCode, stderr, startMs };
  }

  private async check(
    dataDir: string,
    recorded: ReadonlySet<string>,
    hasStarted: boolean,
    isDone: boolean,
  ): Promise<void> {
    // A store that no process has begun with yet may be half made.
    const run = hasStarted ? await this.read(dataDir) : null;
    const ids = new Set(run?.signals.map(({ signalId }) => signalId));
    const lost = [...recorded].filter((id) => !ids.has(id) && !this.flat.has(id));
    if (lost.length > 0) this.violations.push(`acknowledged and gone: ${lost.slice(0, 5)}`);
    if (run === null) return;
    this.violations.push(...this.reference.differences(run));
    if (isDone) this.violations.push(...this.reference.finalDifferences(run));
  }

  /** null for a store that was not begun when its process was killed. */
  private async read(dataDir: string): Promise<(StoredRun & { readonly key: string }) | null> {
    try {
      return await readRun(dataDir);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      this.violations.push(`${error.code}: ${error.message}`);
      return null;
    }
  }
}
