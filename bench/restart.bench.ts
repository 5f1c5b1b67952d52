// How long does a process that was killed take until it answers again, with a million bars and a hundred thousand signals behind it?
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createLogger } from '../src/log.js';
import type { Bar } from '../src/market/bar.js';
import { ML4TOrchestrator } from '../src/orchestrator.js';
import { simulateMarket } from '../src/simulation/simulated-market.js';
import { instrumentNames } from './fixture.js';
import { checkAnswer, lower, median, nowNs, report, SMOKE, told } from './measure.js';

/** `--bars`: stored bars of each instrument, of which the window holds 1,024. */
const { values } = parseArgs({ strict: false, options: { bars: { type: 'string' }, instruments: { type: 'string' } } });
const INSTRUMENTS = SMOKE ? 20 : Number(values.instruments ?? 1000);
const BARS = SMOKE ? 200 : Number(values.bars ?? 1000);
const WINDOW_BARS = 1024;
const SIGNALS = SMOKE ? 500 : 100_000;
const RESTARTS = SMOKE ? 1 : 3;
const BARS_PER_TURN = 2000;
const MIB = 2 ** 20;

const names = instrumentNames(INSTRUMENTS);
const dataDir = mkdtempSync(join(tmpdir(), 'ml4t-restart-'));
const config = {
  dataDir,
  dispatch: 'inline',
  store: { instrumentsMax: Math.max(INSTRUMENTS, 4) },
  retrain: { mode: 'manual' },
} as const;

async function started(): Promise<{ orchestrator: ML4TOrchestrator; ms: number; cpuMs: number }> {
  const orchestrator = new ML4TOrchestrator(config, { logger: createLogger('error') });
  const start = nowNs();
  const cpu = process.cpuUsage();
  await orchestrator.start();
  const { user, system } = process.cpuUsage(cpu);
  return { orchestrator, ms: (nowNs() - start) / 1e6, cpuMs: (user + system) / 1000 };
}

/** Heap and what lies beside it, without the feature store's own shared memory. */
function heldMib(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MIB;
}

const series = simulateMarket({ bars: BARS, edge: 0, seed: 1 });
const lastNs = series.tsEventNs[BARS - 1]!;
let checksum = 0;
let heldMax = 0;
{
  const { orchestrator } = await started();
  const signalsPerBar = SIGNALS / BARS;
  let sent = 0;
  for (let k = 0; k < BARS; k++) {
    const bar: Bar = series.at(k);
    for (const [index, name] of names.entries()) {
      orchestrator.addBar(name, bar);
      if (index % BARS_PER_TURN === BARS_PER_TURN - 1) await nextTurn();
    }
    for (; sent < Math.round((k + 1) * signalsPerBar); sent++) {
      orchestrator.processSignalSync({
        instrumentId: names[sent % INSTRUMENTS]!,
        signal: sent % 2 === 0 ? 1 : -1,
        timestamp: bar.tsEventNs,
      });
    }
    await nextTurn();
    if (k % Math.ceil(BARS / 10) === 0) heldMax = Math.max(heldMax, heldMib());
    // What a process takes in it also writes: this one no faster than the disk.
    while (orchestrator.stateMetrics!.stagedBytes > 32 * MIB) await nextTurn();
  }
  await orchestrator.stop();
}

const times: number[] = [];
const cpuTimes: number[] = [];
let bytesOnDisk = 0;
let heldAfter = 0;
for (let k = 0; k < RESTARTS; k++) {
  const { orchestrator, ms, cpuMs } = await started();
  const { instruments, bars, signals } = orchestrator.restored!;
  const expected = { instruments: INSTRUMENTS, bars: INSTRUMENTS * Math.min(BARS, WINDOW_BARS), signals: SIGNALS };
  // Each restart leaves the one signal it asked about.
  checkAnswer(
    instruments === expected.instruments && bars === expected.bars && signals === expected.signals + k,
    'everything is restored',
  );
  const answer = orchestrator.processSignalSync({
    instrumentId: names[0]!,
    signal: 1,
    timestamp: lastNs,
    signalId: `after ${k}`,
  });
  checkAnswer(answer.asOfSequence === BARS - 1, 'the newest bar is the one that was added last');
  checksum += bars + signals + answer.asOfSequence;
  times.push(ms);
  cpuTimes.push(cpuMs);
  bytesOnDisk = orchestrator.stateMetrics!.bytesOnDisk;
  heldAfter = heldMib();
  await orchestrator.stop();
}
rmSync(dataDir, { recursive: true });
report('restart', `${INSTRUMENTS} instruments, ${BARS} bars each, ${SIGNALS} signals`, checksum, {
  'start() until it answers': lower(median(times), 'ms', 0.5),
  'start(), CPU time': lower(median(cpuTimes), 'ms', 0.5),
  'on disk': told(bytesOnDisk / MIB, 'MiB'),
  'heap and external, largest while written': told(heldMax, 'MiB'),
  'heap and external, after the restart': told(heldAfter, 'MiB'),
});
