import { readFileSync, writeSync } from 'node:fs';
import files, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { parseArgs } from 'node:util';
import { decodeBundle } from '../../src/model/bundle-codec.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from './captured-log.js';
import { type StepTask, stepConfig, stepSeries } from './crash-step.js';

/**
 * A process that changes models and kills itself at a given step of that: before its n-th operation on a file of a model, some time after the n-th, or in an event's listener.
 * `node crash-step-child.js --dataDir D --task swap|rollback|train [--model file] [--fileStep n [--thenMs n]] [--event name]`; says on stdout what it came to.
 */
const { values } = parseArgs({
  options: {
    dataDir: { type: 'string', default: '' },
    task: { type: 'string', default: '' },
    model: { type: 'string', default: '' },
    fileStep: { type: 'string', default: '-1' },
    thenMs: { type: 'string', default: '0' },
    event: { type: 'string', default: '' },
  },
});
const task = values.task as StepTask;
const [fileStep, thenMs] = [Number(values.fileStep), Number(values.thenMs)];
let isArmed = false;
let steps = 0;

const die = (): void => void process.kill(process.pid, 'SIGKILL');

/** Counts one operation on a file, and ends everything when it is the one. */
function step(path: string): void {
  if (!isArmed || !path.includes('models')) return;
  if (steps++ !== fileStep) return;
  writeSync(1, 'killed\n');
  if (thenMs === 0) die();
  else setTimeout(die, thenMs);
}

const { open, rename, mkdir } = files;
files.open = (async (path: string, flags?: string) => {
  step(path);
  const handle = await open(path, flags);
  return counted(handle, path);
}) as typeof open;
files.rename = async (from, to) => {
  step(`${from}`);
  await rename(from, to);
};
files.mkdir = (async (path: string, options: object) => {
  step(path);
  return mkdir(path, options);
}) as typeof mkdir;
syncBuiltinESMExports();

function counted(handle: FileHandle, path: string): FileHandle {
  const { writeFile, sync } = handle;
  handle.writeFile = async (...parameters) => {
    step(path);
    await writeFile.apply(handle, parameters);
  };
  handle.sync = async () => {
    step(path);
    await sync.apply(handle);
  };
  return handle;
}

const orchestrator = new ML4TOrchestrator(stepConfig(values.dataDir, task), { logger: silentLogger });
await orchestrator.start();
if (values.event !== '') orchestrator.events.on(values.event as 'modelSwapped', die);
isArmed = true;
if (task === 'swap') await orchestrator.hotSwapModel(decodeBundle(readFileSync(values.model)));
else if (task === 'rollback') await orchestrator.rollback();
else await orchestrator.train(stepSeries());
writeSync(1, `finished after ${steps} steps\n`);
await orchestrator.stop();
