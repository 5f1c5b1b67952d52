import { writeFileSync } from 'node:fs';
import type { BarSeries } from '../../src/market/bar.js';
import { encodeBundle } from '../../src/model/bundle-codec.js';
import { ModelPersistence } from '../../src/model/persistence.js';
import { trainedBundle } from './bundles.js';
import { silentLogger } from './captured-log.js';
import { Running } from './session.js';

/** A command that has ended. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line in a process of its own, until it ends. */
export async function ml4t(parameters: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const running = started(parameters, environment);
  const status = await running.ended();
  return { status, stdout: running.lines.map((line) => `${line}\n`).join(''), stderr: running.errors };
}

export function started(parameters: readonly string[], environment: NodeJS.ProcessEnv = {}): Running {
  return Running.start(parameters, { ...process.env, ML4T_LOG_LEVEL: 'error', ...environment });
}

/** The bars as a file that stamps them at their close. */
export function writeBars(path: string, bars: BarSeries): void {
  const rows = Array.from({ length: bars.length }, (_, i) => {
    const { tsEventNs, open, high, low, close, volume } = bars.at(i);
    return [tsEventNs, open, high, low, close, volume].join(',');
  });
  writeFileSync(path, ['timestamp,open,high,low,close,volume', ...rows].join('\n'));
}

/** A directory of models with one that serves. */
export async function writeModel(directory: string): Promise<void> {
  await new ModelPersistence(directory, silentLogger).save(encodeBundle(await trainedBundle()));
}
