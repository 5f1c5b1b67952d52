import { eventually } from './eventually.js';
import { type Spawned, spawnSupport } from './spawned.js';

/** A child of a drill whose lines are waited for from one on: what a process said before does not count. */
export class DrillProcess {
  private constructor(
    private readonly name: string,
    private readonly spawned: Spawned,
  ) {}

  static start(name: string, args: readonly string[], flags: readonly string[] = []): DrillProcess {
    const limit = flags.length === 0 ? '' : `export NODE_OPTIONS='${flags.join(' ')}';`;
    return new DrillProcess(name, spawnSupport(name, args, limit));
  }

  get lines(): readonly string[] {
    return this.spawned.lines;
  }

  get hasEnded(): boolean {
    const { exitCode, signalCode } = this.spawned.child;
    return exitCode !== null || signalCode !== null;
  }

  /** Resolves with the first line behind the first `from` that begins so. */
  async said(start: string, from = 0): Promise<string> {
    const find = (): string | undefined => this.lines.slice(from).find((line) => line.startsWith(start));
    await eventually(() => find() !== undefined || this.hasEnded, `'${start}' from ${this.name}`);
    const line = find();
    if (line === undefined) throw new Error(`${this.name} ended without '${start}': ${this.spawned.errors.join('\n')}`);
    return line;
  }

  /** Whether its bus has said last that it is up. */
  get isUp(): boolean {
    return (this.lines.findLast((line) => line.startsWith('up') || line.startsWith('down')) ?? '').startsWith('up');
  }

  tell(command: string): void {
    this.spawned.child.stdin!.write(`${command}\n`);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.spawned.child.kill(name);
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.spawned.kill();
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<number | null> {
    return this.spawned.ended();
  }
}
