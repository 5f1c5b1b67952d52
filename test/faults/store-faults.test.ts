import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { openStateReader } from '../../src/state/state-store.js';
import { silentLogger } from '../support/captured-log.js';
import { DISK_USER_FEATURES, DiskChild, diskBars, diskConfig, diskSignal } from '../support/crash-disk.js';
import { insideOf } from '../support/crash-image.js';
import { remembered, stopAll } from '../support/opened.js';
import { refusalOf } from '../support/refusal.js';
import { FULL_SIZE } from '../support/sizes.js';

const root = mkdtempSync(join(tmpdir(), 'ml4t-disk-'));
const children: DiskChild[] = [];
/** Room for the beginning of a store. */
const FILE_KB = 600;

function start(...parameters: Parameters<typeof DiskChild.start>): DiskChild {
  const child = DiskChild.start(...parameters);
  children.push(child);
  return child;
}

function orchestratorOn(dataDir: string, userFeatureCount = 0): ML4TOrchestrator {
  return remembered(new ML4TOrchestrator(diskConfig(dataDir, userFeatureCount), { logger: silentLogger }));
}

async function storedIds(dataDir: string): Promise<string[]> {
  const reader = openStateReader(dataDir);
  const ids = [...reader.stored.signals()].map(({ signalId }) => signalId);
  await reader.close();
  return ids;
}

const firstIds = (count: number): string[] => Array.from({ length: count }, (_, k) => `d${k}`);

test('with the disk full answers go on, `recorded` waits, one warning is logged, and with room again everything becomes durable', async () => {
  const dataDir = join(root, 'full');
  const child = start(dataDir, 'fill', FILE_KB);
  assert.ok((await child.until('failing')).code !== null);
  const answered = await child.until('answered');
  assert.is(answered.recorded, answered.recordedBefore, 'what was accepted since is not recorded');
  assert.ok((answered.sent as number) >= (answered.recorded as number) + 500, 'answers went on');
  assert.is(answered.warnings, 1);
  await child.giveRoom();
  child.goOn();
  const durable = await child.until('durable');
  assert.is(durable.recorded, durable.sent);
  assert.is(durable.failing, false);
  await child.kill();
  assert.equal(await storedIds(dataDir), firstIds(durable.sent as number), 'what was acknowledged survives the kill');
  const again = orchestratorOn(dataDir);
  await again.start();
  const { bars, signals, openSignals } = again.restored!;
  assert.equal(
    { bars, signals, openSignals },
    { bars: diskBars().length, signals: durable.sent, openSignals: durable.sent },
  );
});

test('while too much waits for the disk, signals and bars are refused with STORE_BEHIND before anything is taken, and accepted again after', async () => {
  const orchestrator = orchestratorOn(join(root, 'edge'));
  await orchestrator.start();
  const bars = diskBars();
  for (let bar = 0; bar < 150; bar++) orchestrator.addBar('X', bars.at(bar));
  const { journal } = insideOf(orchestrator).state!;
  Object.defineProperty(journal, 'isBehind', { get: () => true, configurable: true });
  for (const call of [
    () => orchestrator.addBar('X', bars.at(150)),
    () => orchestrator.processSignal(diskSignal(0, 0)),
    () => orchestrator.processSignals([diskSignal(0, 0)]),
    () => orchestrator.processSignalSync(diskSignal(0, 0)),
    () => orchestrator.processSignalSync({ ...diskSignal(0, 0), bars: bars.slice(50, 151) }),
  ]) {
    assert.is((await refusalOf(call)).code, 'STORE_BEHIND');
  }
  Reflect.deleteProperty(journal, 'isBehind');
  orchestrator.addBar('X', bars.at(150));
  await orchestrator.processSignalSync(diskSignal(0, 0)).recorded;
  assert.is(orchestrator.processSignalSync(diskSignal(1, 0)).asOfSequence, 150);
  assert.is(orchestrator.stateMetrics!.counts.signals, 1, 'what was refused was not taken');
});

if (FULL_SIZE) {
  test('when too much waits for a full disk, signals and bars are refused with STORE_BEHIND, stop() says what is lost, and what was acknowledged is there', async () => {
    const dataDir = join(root, 'behind');
    const child = start(dataDir, 'overflow', 4 * FILE_KB);
    const { codes, stagedBytes } = await child.until('behind');
    assert.equal(codes, ['STORE_BEHIND', 'STORE_BEHIND']);
    assert.ok((stagedBytes as number) < 300 * 2 ** 20, `${stagedBytes} bytes wait`);
    const { sent } = await child.until('answered');
    child.goOn();
    const { code, recorded, refused } = await child.until('stopped');
    assert.is(code, 'STORE_WRITE_FAILED');
    // The signal that was refused had no answer.
    assert.is((recorded as number) + (refused as number), (sent as number) - 1);
    const ids = await storedIds(dataDir);
    assert.equal(ids, firstIds(recorded as number), 'what is stored is the first part of what was sent, whole');
    const again = orchestratorOn(dataDir, DISK_USER_FEATURES);
    await again.start();
    assert.is(again.restored!.signals, recorded);
  });
}

test('a directory that another process has is refused with DATA_DIR_IN_USE, and had as soon as that process was killed with -9', async () => {
  const dataDir = join(root, 'held');
  const child = start(dataDir, 'hold', null);
  await child.until('holding');
  for (let times = 0; times < 2; times++) {
    const refused = orchestratorOn(dataDir);
    assert.is((await refusalOf(() => refused.start())).code, 'DATA_DIR_IN_USE');
    await refused.stop();
  }
  await child.kill();
  const orchestrator = orchestratorOn(dataDir);
  await orchestrator.start();
  assert.is(orchestrator.restored!.signals, 1);
  const second = orchestratorOn(dataDir);
  assert.is((await refusalOf(() => second.start())).code, 'DATA_DIR_IN_USE', 'in the same process as well');
  await orchestrator.stop();
});

test('a directory that cannot be made or written to is refused with DATA_DIR_UNUSABLE', async () => {
  const file = join(root, 'file');
  writeFileSync(file, 'not a directory');
  for (const dataDir of [file, join(file, 'below'), '/dev/null']) {
    const orchestrator = orchestratorOn(dataDir);
    const refusal = await refusalOf(() => orchestrator.start());
    assert.is(refusal.code, 'DATA_DIR_UNUSABLE', dataDir);
    assert.is(refusal.field, 'dataDir');
    await orchestrator.stop();
  }
});

test('a store that a process killed in its first instants has left is started with', async () => {
  const dataDir = join(root, 'begun');
  const orchestrator = orchestratorOn(dataDir);
  await orchestrator.start();
  await orchestrator.stop();
  for (const name of readdirSync(dataDir)) if (name.endsWith('.mdb')) writeFileSync(join(dataDir, name), '');
  const again = orchestratorOn(dataDir);
  await again.start();
  assert.is(again.restored!.bars, 0);
});

test.after.each(async () => {
  for (const child of children.splice(0)) await child.kill();
  await stopAll();
});
test.after(() => rmSync(root, { recursive: true }));
test.run();
