import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from './captured-log.js';
import { Running } from './session.js';

/** `ml4t run --redis` in a process of its own with a data directory, to be killed and started again. */
export class ServedPartition {
  private running: Running | null = null;

  private constructor(
    private readonly parameters: readonly string[],
    private readonly directory: string,
  ) {}

  /** Resolves when messages come and answers go, of a model that is kept in the directory. */
  static async start(
    parameters: readonly string[],
    config: OrchestratorConfigInput,
    bundle: ModelBundle,
  ): Promise<ServedPartition> {
    const directory = mkdtempSync(join(tmpdir(), 'ml4t-served-'));
    const file = join(directory, 'config.json');
    writeFileSync(file, JSON.stringify(config));
    const dataDir = join(directory, 'data');
    const teacher = new ML4TOrchestrator({ ...config, dataDir }, { logger: silentLogger });
    await teacher.start();
    await teacher.hotSwapModel(bundle);
    await teacher.stop();
    const partition = new ServedPartition(['run', '--config', file, '--data-dir', dataDir, ...parameters], directory);
    await partition.launch();
    return partition;
  }

  /** What it has printed since it was started the last time. */
  get lines(): readonly string[] {
    return this.running?.lines ?? [];
  }

  /** SIGKILL, and again from what is on disk. */
  async restart(): Promise<void> {
    await this.kill();
    await this.launch();
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async launch(): Promise<void> {
    this.running = Running.start(this.parameters);
    await this.running.printed('bus up');
  }

  private async kill(): Promise<void> {
    this.running?.child.kill('SIGKILL');
    await this.running?.ended();
    this.running = null;
  }
}
