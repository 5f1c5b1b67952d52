import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { capturedLog } from './captured-log.js';
import { DISK_USER_FEATURES, diskBars, diskConfig, diskSignal } from './crash-disk.js';

/**
 * A process on a disk with little room, told by the limit on the size of its files: fills it, goes on answering, and when it reads a line on stdin waits until everything is durable.
 * `node crash-disk-child.js --dataDir D --mode hold|fill|overflow`; says what comes of it in lines of JSON on stdout.
 */
const { values } = parseArgs({
  options: { dataDir: { type: 'string', default: '' }, mode: { type: 'string', default: '' } },
});
const say = (what: object): void => void writeSync(1, `${JSON.stringify(what)}\n`);
const { logger, lines } = capturedLog();
const isOverflow = values.mode === 'overflow';
const orchestrator = new ML4TOrchestrator(diskConfig(values.dataDir, isOverflow ? DISK_USER_FEATURES : 0), { logger });
const input = createInterface({ input: process.stdin });
await orchestrator.start();
const bars = diskBars();
for (let bar = 0; bar < bars.length; bar++) orchestrator.addBar('X', bars.at(bar));
let sent = 0;
let [recorded, refused] = [0, 0];
const pending: Promise<void>[] = [];

/** Answers one signal; what becomes of its record is counted. */
function send(): void {
  const answer = orchestrator.processSignalSync(diskSignal(sent++, isOverflow ? DISK_USER_FEATURES : 0));
  pending.push(
    answer.recorded.then(
      () => void recorded++,
      () => void refused++,
    ),
  );
}

if (values.mode === 'hold') {
  send();
  await Promise.all(pending);
} else {
  while (orchestrator.stateMetrics!.failingSinceNs === null) {
    send();
    if (sent % 20 === 0) await pause(1);
  }
}
const before = { sent, recorded };
say({ state: values.mode === 'hold' ? 'holding' : 'failing', ...before, code: orchestrator.stateMetrics!.errorCode });
if (isOverflow) overflow();
else if (values.mode === 'fill') for (let k = 0; k < 500; k++) send();
await pause(300);
const warnings = lines.filter(({ level, msg }) => level >= 40 && msg.includes('store')).length;
say({
  state: 'answered',
  sent,
  recorded,
  recordedBefore: before.recorded,
  warnings,
  staged: orchestrator.stateMetrics!.stagedCount,
});
await once(input, 'line');
if (isOverflow) {
  const code = await orchestrator.stop().then(
    () => 'stopped',
    (error: { code: string }) => error.code,
  );
  await Promise.all(pending);
  say({ state: 'stopped', code, recorded, refused });
  process.exit(0);
}
await Promise.all(pending);
say({ state: 'durable', sent, recorded, failing: orchestrator.stateMetrics!.failingSinceNs !== null });
await pause(60_000);

/** Sends until too much waits, and says what the edge answers then. */
function overflow(): void {
  const codes: string[] = [];
  for (const call of [send, () => orchestrator.addBar('Y', bars.at(0))]) {
    try {
      for (let k = 0; k < 100_000; k++) {
        call();
        if (call !== send) break;
      }
      codes.push('accepted');
    } catch (error) {
      codes.push((error as { code: string }).code);
    }
  }
  say({ state: 'behind', codes, stagedBytes: orchestrator.stateMetrics!.stagedBytes });
}
