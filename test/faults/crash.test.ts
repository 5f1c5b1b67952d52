import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OutcomeEvent, SignalEvent } from '../../src/market/events.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { fixtureBars } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { runCrashDrill } from '../support/crash-drill.js';
import { crashImage } from '../support/crash-image.js';
import { crashConfig, HORIZON_BARS } from '../support/crash-input.js';
import { readRun } from '../support/crash-reference.js';
import { FAULT_FEATURE } from '../support/faults.js';
import { remembered, stopAll } from '../support/opened.js';
import { CRASH_KILLS, CRASH_MINUTES } from '../support/sizes.js';

const root = mkdtempSync(join(tmpdir(), 'ml4t-crash-'));
const bars = fixtureBars(60, 3);
const STORED_BARS = 40;

function signalAt(bar: number): SignalEvent & { signalId: string } {
  return {
    instrumentId: 'X',
    signalId: `s${bar}`,
    signal: bar % 2 === 0 ? 1 : -1,
    timestamp: bars.tsEventNs[bar]!,
    features: { [FAULT_FEATURE]: 0 },
  };
}

async function started(dataDir: string): Promise<ML4TOrchestrator> {
  const orchestrator = remembered(new ML4TOrchestrator(crashConfig(dataDir), { logger: silentLogger }));
  await orchestrator.start();
  return orchestrator;
}

test('processes killed with -9 at random instants leave nothing lost, doubled or different from a run that nobody interrupts', async () => {
  const seed = Date.now() % 2 ** 31;
  const { violations, ...figures } = await runCrashDrill({ kills: CRASH_KILLS, minutes: CRASH_MINUTES, seed });
  console.log(`crash drill, seed ${seed}: ${JSON.stringify(figures)}`);
  assert.equal(violations.slice(0, 10), [], `seed ${seed}`);
  assert.is(figures.kills, CRASH_KILLS);
  assert.ok(figures.acknowledged > 0, 'some answers were waited for');
});

test('a signal that is sent again after a restart is acknowledged again, though nothing else is recorded', async () => {
  const dataDir = join(root, 'again');
  const before = await started(dataDir);
  for (let bar = 0; bar < STORED_BARS; bar++) before.addBar('X', bars.at(bar));
  await before.processSignalSync(signalAt(STORED_BARS - 1)).recorded;
  const after = await started(await crashImage(before, dataDir, join(root, 'again-image')));
  const { recorded } = after.processSignalSync(signalAt(STORED_BARS - 1));
  const outcome = await Promise.race([recorded.then(() => 'recorded'), pause(5000, 'still pending')]);
  assert.is(outcome, 'recorded');
  assert.is(after.stateMetrics!.counts.signals, 1);
});

test('what a user says of a signal that the barriers have resolved survives a kill before the signal closes, and so does a second word', async () => {
  const dataDir = join(root, 'told');
  const before = await started(dataDir);
  for (let bar = 0; bar < STORED_BARS; bar++) before.addBar('X', bars.at(bar));
  const resolved: OutcomeEvent[] = [];
  before.events.on('outcomeResolved', (outcome) => resolved.push(outcome));
  const sent = Array.from({ length: 9 }, (_, k) => STORED_BARS - 1 - k);
  for (const bar of sent.toReversed()) before.processSignalSync(signalAt(bar));
  before.addBar('X', bars.at(STORED_BARS));
  await crashImage(before, dataDir, join(root, 'told-image-0'));
  const early = resolved.find(({ source }) => source === 'barriers')!;
  assert.ok(early !== undefined, 'the barriers of one were met while it is open');
  const open = sent.map((bar) => `s${bar}`).find((id) => resolved.every(({ signalId }) => signalId !== id))!;
  before.recordOutcome(open, { outcome: 'profit', grossReturn: 0.01 });
  const told = {
    [early.signalId]: before.recordOutcome(early.signalId, { outcome: 'timeout', grossReturn: 0.0123 }),
    [open]: before.recordOutcome(open, { outcome: 'stop', grossReturn: -0.0321 }),
  };
  const after = await started(await crashImage(before, dataDir, join(root, 'told-image')));
  const closed: Record<string, { grossReturn: number | null; source: string }> = {};
  for (let bar = STORED_BARS + 1; bar < STORED_BARS + 2 * HORIZON_BARS - 2; bar++) after.addBar('X', bars.at(bar));
  await after.stop();
  const run = await readRun(join(root, 'told-image'));
  for (const { signalId, source, grossReturn } of run!.outcomes) closed[signalId] = { source, grossReturn };
  for (const [signalId, { source, grossReturn }] of Object.entries(told)) {
    assert.equal(closed[signalId], { source, grossReturn }, signalId);
  }
  assert.is(run!.outcomes.length, sent.length);
});

test.after.each(stopAll);
test.after(() => rmSync(root, { recursive: true }));
test.run();
