import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeBundle } from '../../src/model/bundle-codec.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from '../support/captured-log.js';
import {
  runStep,
  type StepKill,
  type StepTask,
  stepConfig,
  stepSeries,
  storedDecisions,
} from '../support/crash-step.js';
import { remembered, stopAll } from '../support/opened.js';
import { twoBundles } from '../support/reference-answers.js';
import { rivalsOf } from '../support/rival-bundles.js';
import { COMMIT_KILLS_MS } from '../support/sizes.js';

/** Law 7: a crash at any instant leaves a champion that loads, and no promotion half-recorded. */
const root = mkdtempSync(join(tmpdir(), 'ml4t-persist-'));
const [first, second] = await twoBundles();
const [, third] = rivalsOf(second, 2);
const THIRD_FILE = join(root, 'third.model');
writeFileSync(THIRD_FILE, encodeBundle(third!));

async function started(dataDir: string, task: StepTask): Promise<ML4TOrchestrator> {
  const orchestrator = remembered(new ML4TOrchestrator(stepConfig(dataDir, task), { logger: silentLogger }));
  await orchestrator.start();
  return orchestrator;
}

/** A directory in which `second` serves and `first` did before. */
const base = join(root, 'base');
{
  const orchestrator = await started(base, 'swap');
  await orchestrator.hotSwapModel(first);
  await orchestrator.hotSwapModel(second);
  await orchestrator.stop();
}

/** Operations on files while a model is installed: the directory made, the file opened, written, synced, renamed, its directory opened and synced. */
const FILE_STEPS = 7;
/** While a model whose file is there is installed: the directory made, opened and synced. */
const KNOWN_FILE_STEPS = 3;
const KILLS = killsAt(FILE_STEPS);

function killsAt(fileSteps: number): StepKill[] {
  return [
    ...Array.from({ length: fileSteps }, (_, fileStep) => ({ fileStep })),
    // The last file operation, then the registry's commit, at some instant of it.
    ...COMMIT_KILLS_MS.map((thenMs) => ({ fileStep: fileSteps - 1, thenMs })),
  ];
}

function nameOf({ fileStep, thenMs, event }: StepKill): string {
  if (event !== undefined) return `in a listener of ${event}`;
  return thenMs === undefined ? `before file operation ${fileStep}` : `${thenMs} ms after file operation ${fileStep}`;
}

let copies = 0;
async function killedAt(from: string | null, task: StepTask, kill: StepKill): Promise<string> {
  const dataDir = join(root, `copy${copies++}`);
  if (from !== null) cpSync(from, dataDir, { recursive: true });
  const { isKilled, said } = await runStep(dataDir, task, THIRD_FILE, kill);
  // An instant that lies after the end of everything is no kill, and no fault either.
  if (!isKilled) assert.ok(kill.thenMs !== undefined && said.includes('finished'), `${nameOf(kill)}: ${said}`);
  return dataDir;
}

test('a process killed at any step of installing a model leaves the old champion or the new one, and it loads', async () => {
  const seen = new Set<string>();
  for (const kill of [...KILLS, { event: 'modelSwapped' }]) {
    const dataDir = await killedAt(base, 'swap', kill);
    const { models } = await storedDecisions(dataDir);
    const orchestrator = await started(dataDir, 'swap');
    const serving = orchestrator.model?.modelId;
    const champions = models.filter(({ role }) => role === 'champion').map(({ modelId }) => modelId);
    assert.equal(champions, [serving], nameOf(kill));
    const { previousId } = orchestrator.restored!;
    const expected = serving === third!.modelId ? second.modelId : first.modelId;
    assert.is(previousId, expected, nameOf(kill));
    assert.ok(serving === second.modelId || serving === third!.modelId, nameOf(kill));
    if (kill.event !== undefined) assert.is(serving, third!.modelId, 'what was published is recorded');
    if (kill.fileStep !== undefined && kill.thenMs === undefined) assert.is(serving, second.modelId, nameOf(kill));
    seen.add(serving!);
    await orchestrator.hotSwapModel(third!);
    await orchestrator.rollback();
    await orchestrator.stop();
  }
  assert.is(seen.size, 2, 'some crashes came before the decision was durable and some after');
});

test('a process killed at any step of a rollback leaves one of the two champions, and the verdict is there exactly when the registry says so', async () => {
  for (const kill of [...killsAt(KNOWN_FILE_STEPS), { event: 'modelSwapped' }, { event: 'rolledBack' }]) {
    const dataDir = await killedAt(base, 'rollback', kill);
    const { verdicts } = await storedDecisions(dataDir);
    const orchestrator = await started(dataDir, 'rollback');
    const isBack = orchestrator.model?.modelId === first.modelId;
    assert.ok(isBack || orchestrator.model?.modelId === second.modelId, nameOf(kill));
    assert.is(verdicts.filter(({ kind }) => kind === 'rolled-back').length, isBack ? 1 : 0, nameOf(kill));
    assert.is(orchestrator.restored!.previousId, isBack ? '' : first.modelId, nameOf(kill));
    if (kill.event !== undefined) assert.ok(isBack, nameOf(kill));
    await orchestrator.stop();
  }
});

test('a process killed while a trained model is decided on leaves its verdict, what it spent and its role, or none of them', async () => {
  const kills: StepKill[] = [
    { fileStep: FILE_STEPS - 1 },
    { fileStep: FILE_STEPS - 1, thenMs: COMMIT_KILLS_MS[1]! },
    { event: 'verdict' },
  ];
  for (const kill of kills) {
    const dataDir = await killedAt(null, 'train', kill);
    const { verdicts, attempts, models, watch } = await storedDecisions(dataDir);
    const count = verdicts.length;
    assert.ok(count <= 1, nameOf(kill));
    assert.equal(
      { attempts, models: models.length, watch },
      { attempts: count, models: count, watch: count },
      nameOf(kill),
    );
    if (kill.event !== undefined) assert.is(count, 1, 'a verdict that was told is recorded');
    const orchestrator = await started(dataDir, 'train');
    assert.is(orchestrator.model?.modelId ?? '', verdicts[0]?.challengerId ?? '', nameOf(kill));
    await orchestrator.stop();
  }
});

test('a process killed while a challenger is decided on leaves its verdict, its token and its role, or none of them', async () => {
  const served = join(root, 'served');
  const orchestrator = await started(served, 'train');
  await orchestrator.train(stepSeries());
  await orchestrator.stop();
  const before = await storedDecisions(served);
  for (const kill of [
    { fileStep: FILE_STEPS - 1, thenMs: COMMIT_KILLS_MS[0]! },
    { event: 'verdict' },
  ] satisfies StepKill[]) {
    const dataDir = await killedAt(served, 'train', kill);
    const after = await storedDecisions(dataDir);
    const told = after.verdicts.slice(before.verdicts.length);
    assert.ok(told.length <= 1, nameOf(kill));
    assert.is(after.attempts - before.attempts, 0, 'a challenger counts by its tokens');
    assert.is(after.tokens - before.tokens, told.filter(({ figures }) => figures.spends === true).length, nameOf(kill));
    assert.is(after.models.length - before.models.length, told.length, nameOf(kill));
    if (kill.event !== undefined) assert.is(told.length, 1, 'a verdict that was told is recorded');
    const again = await started(dataDir, 'train');
    assert.is(again.model?.modelId, after.models.find(({ role }) => role === 'champion')?.modelId, nameOf(kill));
    await again.stop();
  }
});

test('a verdict, a swap and a rollback are told only after the registry on disk names the champion, and its file is there', async () => {
  const dataDir = join(root, 'order');
  const orchestrator = remembered(new ML4TOrchestrator(stepConfig(dataDir, 'swap'), { logger: silentLogger }));
  const told: string[] = [];
  const checks: Promise<void>[] = [];
  const look = (event: string, championId: string): void => {
    const files = readdirSync(join(dataDir, 'models'));
    const reading = storedDecisions(dataDir).then(({ models }) => {
      const champion = models.find(({ role }) => role === 'champion');
      assert.is(champion?.modelId, championId, event);
      assert.ok(files.includes(champion!.fileName), event);
    });
    told.push(event);
    checks.push(reading);
  };
  orchestrator.events.on('modelSwapped', ({ modelId }) => look('modelSwapped', modelId));
  orchestrator.events.on('rolledBack', ({ to }) => look('rolledBack', to));
  await orchestrator.start();
  await orchestrator.hotSwapModel(first);
  await orchestrator.hotSwapModel(second);
  await orchestrator.rollback();
  await Promise.all(checks);
  assert.equal(told, ['modelSwapped', 'modelSwapped', 'rolledBack', 'modelSwapped']);
});

test('a model whose file cannot be written is refused with MODEL_NOT_SAVED, and the champion and the registry stay as they were', async () => {
  const dataDir = join(root, 'unwritable');
  const orchestrator = await started(dataDir, 'swap');
  await orchestrator.hotSwapModel(first);
  const before = await storedDecisions(dataDir);
  const models = join(dataDir, 'models');
  rmSync(models, { recursive: true });
  writeFileSync(models, 'not a directory');
  const refusal = await orchestrator.hotSwapModel(second).catch((error: unknown) => error);
  assert.is((refusal as { code?: string }).code, 'MODEL_NOT_SAVED');
  assert.is(orchestrator.model?.modelId, first.modelId);
  assert.equal((await storedDecisions(dataDir)).models, before.models);
  assert.ok(existsSync(join(dataDir, 'data.mdb')));
});

test.after.each(stopAll);
test.after(() => rmSync(root, { recursive: true }));
test.run();
