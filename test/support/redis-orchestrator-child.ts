import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import type { OrchestratorConfigInput } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from './captured-log.js';

/**
 * A process to be killed that serves a partition, and says in lines on stdout what becomes of its bus, with the nanoseconds of the machine's clock behind.
 * `node redis-orchestrator-child.js CONFIGURATION`; answers `heap`, `metrics` and `stop` on stdin, and ends with it.
 */
const config = JSON.parse(process.argv[2]!) as OrchestratorConfigInput;
// Straight to the descriptor: what was said before the kill has arrived.
const say = (line: string): void => void writeSync(1, `${line}\n`);
const now = (): bigint => process.hrtime.bigint();

const orchestrator = new ML4TOrchestrator(config, { logger: silentLogger });
orchestrator.events.on('busUp', () => say(`up ${now()}`));
orchestrator.events.on('busDown', ({ code, reason }) => say(`down ${code} ${now()} ${reason}`));
orchestrator.events.on('busGap', ({ missing, reason }) => say(`gap ${missing} ${reason}`));
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => void obey(line));
lines.on('close', () => process.exit(1));
await orchestrator.start();
say(`started ${orchestrator.model!.modelId}`);

async function obey(line: string): Promise<void> {
  if (line === 'metrics') say(`metrics ${JSON.stringify(orchestrator.busMetrics)}`);
  if (line === 'heap') {
    globalThis.gc!();
    // The memory of buffers is swept beside the thread; a second collection first waits for that of the first.
    await setImmediate();
    globalThis.gc!();
    say(`heap ${process.memoryUsage().heapUsed + process.memoryUsage().external}`);
  }
  if (line !== 'stop') return;
  await orchestrator.stop();
  say('stopped');
  process.exit(0);
}
