import { type Command, Option } from 'commander';
import { OrchestratorConfig } from '../config.js';
import { checkFeatures } from '../loop/check-features.js';
import type { LoopSnapshot } from '../loop/loop-snapshot.js';
import { falseAlarmsOf, featureStabilityOf, recordedLabelsPerDay } from '../loop/model-standing.js';
import { reconcile } from '../loop/reconcile.js';
import { StoredModels } from '../loop/stored-models.js';
import { ML4TOrchestrator } from '../orchestrator.js';
import type { VerdictRecord } from '../state/records.js';
import type { StoredState } from '../state/stored-state.js';
import { featureSetOf } from '../training/training-plan.js';
import { NO_BUS } from './bus-options.js';
import { type ExportOptions, runExport } from './export.js';
import { EXPORTS } from './export-tables.js';
import { EXPORT_FORMATS } from './export-text.js';
import { hinted, readState } from './open-state.js';
import { toJson } from './render.js';
import { type ModelCard, renderModelCard, renderModels, renderReconcile } from './render-state.js';

interface StateOptions {
  readonly dataDir: string;
  readonly config?: string;
  readonly json: boolean;
}

const VERDICTS_SHOWN = 5;
const DATA_DIR = ['--data-dir <directory>', 'where an orchestrator keeps its state'] as const;
const JSON_FLAG = ['--json', 'one JSON document on stdout'] as const;
const CONFIG = [
  '--config <file>',
  'configuration of that orchestrator as JSON (default: what its last owner had); ML4T_… variables override it',
] as const;

/** `models`, `export` and `reconcile`: what people do with durable state from outside. `print` puts a line on stdout. */
export function addStateCommands(program: Command, print: (text: string) => void): void {
  addModelCommands(program, print);
  program
    .command('export')
    .description('write what is recorded to stdout or a file; reads only, beside an orchestrator that runs')
    .requiredOption(...DATA_DIR)
    .addOption(new Option('--what <table>', 'the table to export').choices(EXPORTS).makeOptionMandatory())
    .addOption(new Option('--format <format>', 'output format').choices(EXPORT_FORMATS).default('csv'))
    .option('--out <file>', 'write to a file instead of stdout')
    .option('--instrument <id>', 'only this instrument')
    .action((options: ExportOptions) =>
      readState(options.dataDir, (stored) => runExport(stored, options, process.stdout)),
    );
  program
    .command('reconcile')
    .description('recompute every stored answer from its as-of bar and its model, and compare the bits; reads only')
    .requiredOption(...DATA_DIR)
    .option(...CONFIG)
    .option(...JSON_FLAG, false)
    .action(async (options: StateOptions) => {
      const config = configOf(options);
      const report = await readState(options.dataDir, (stored) => reconcile(stored, { ...options, config }));
      print(options.json ? toJson(report) : renderReconcile(report));
      if (!report.isSound) process.exitCode = 1;
    });
}

function addModelCommands(program: Command, print: (text: string) => void): void {
  const models = program.command('models').description('the models of a data directory');
  models
    .command('list')
    .description('every kept model with its role, and the newest verdicts; reads only')
    .requiredOption(...DATA_DIR)
    .option(...JSON_FLAG, false)
    .action(async ({ dataDir, json }: StateOptions) => {
      const [records, verdicts] = await readState(dataDir, (stored) => [
        new StoredModels(dataDir, stored.models()).records,
        newestFirst(stored).slice(0, VERDICTS_SHOWN),
      ]);
      print(json ? toJson({ models: records, verdicts }) : renderModels(records, verdicts));
    });
  models
    .command('show')
    .description('one model: its bundle, role, verdicts, detectors and the stability of its features; reads only')
    .argument('<id>', 'as models list shows it')
    .requiredOption(...DATA_DIR)
    .option(...JSON_FLAG, false)
    .action(async (modelId: string, options: StateOptions) => {
      const card = await withListHint(
        readState(options.dataDir, (stored) => modelCard(stored, options.dataDir, modelId)),
      );
      print(options.json ? cardJson(card) : renderModelCard(card));
    });
  models
    .command('promote')
    .description('put a kept model to the strict test on recorded labels; it serves if it passes')
    .argument('<id>', 'as models list shows it')
    .requiredOption(...DATA_DIR)
    .option(...CONFIG)
    .option('--force', 'let it serve untested; recorded as such', false)
    .action(async (modelId: string, options: StateOptions & { force: boolean }) => {
      await withListHint(checkUsable(options, (files) => files.recordOf(modelId).modelId));
      const verdict = await asOwner(options, (owner) => owner.promote(modelId, { force: options.force }));
      print(verdict.sentence);
      if (verdict.installs === null) process.exitCode = 1;
    });
  models
    .command('rollback')
    .description('put the previous champion back in service')
    .requiredOption(...DATA_DIR)
    .option(...CONFIG)
    .action(async (options: StateOptions) => {
      await checkUsable(options, (files) => files.records.find(({ role }) => role === 'previous')?.modelId ?? null);
      await asOwner(options, (owner) => owner.rollback());
      const verdict = await readState(options.dataDir, (stored) => newestFirst(stored)[0]);
      print(verdict!.sentence);
    });
}

async function modelCard(stored: StoredState<unknown>, dataDir: string, modelId: string): Promise<ModelCard> {
  const files = new StoredModels(dataDir, stored.models());
  const record = files.recordOf(modelId);
  const bundle = await files.read(modelId);
  return {
    record,
    bundle,
    verdicts: newestFirst(stored).filter((one) => one.challengerId === modelId || one.championId === modelId),
    falseAlarms: falseAlarmsOf(bundle, recordedLabelsPerDay(stored)),
    stability: featureStabilityOf(stored, bundle),
  };
}

/** Of the bundle what `inspect` prints. */
function cardJson({ bundle, ...card }: ModelCard): string {
  const { forest, goldenRows: _rows, goldenConfidences: _confidences, ...header } = bundle;
  const { treeCount, depth } = forest;
  return toJson({ ...card, bundle: { ...header, forest: { treeCount, depth } } });
}

function newestFirst(stored: StoredState<unknown>): VerdictRecord[] {
  return [...stored.verdicts()].reverse();
}

/** Whether the model that is to serve can, found out without becoming the owner: an orchestrator that is configured for other features would come up without any model. */
async function checkUsable(options: StateOptions, choose: (files: StoredModels) => string | null): Promise<void> {
  await readState(options.dataDir, async (stored) => {
    const config = ownerConfig(options, stored);
    const files = new StoredModels(options.dataDir, stored.models());
    const modelId = choose(files);
    if (modelId === null) return;
    try {
      checkFeatures(await files.read(modelId), featureSetOf(config));
    } catch (error) {
      throw hinted(error, { MODEL_FEATURES_DIFFER: "give the orchestrator's own configuration as --config" });
    }
  });
}

/** Owns the directory for as long as the work takes. Nothing is retrained meanwhile but what is asked for. */
async function asOwner<T>(options: StateOptions, work: (owner: ML4TOrchestrator) => Promise<T>): Promise<T> {
  const config = await readState(options.dataDir, (stored) => ownerConfig(options, stored));
  const owner = new ML4TOrchestrator(config);
  try {
    await owner.start();
    return await work(owner);
  } catch (error) {
    throw hinted(error, {
      DATA_DIR_IN_USE: 'ask that process, by promote() and rollback() of its orchestrator, or end it first',
      NO_PREVIOUS_MODEL: 'promote a kept one by its id, from models list',
    });
  } finally {
    await owner.stop();
  }
}

async function withListHint<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw hinted(error, { NO_SUCH_MODEL: 'models list shows those that are' });
  }
}

/** The configuration for a moment's ownership: that of the last owner, unless another is given. A different one would end its open signals and forget what it keeps. */
function ownerConfig(options: StateOptions, stored: StoredState<LoopSnapshot>): OrchestratorConfig {
  const last = options.config === undefined ? stored.readSnapshot()?.config : undefined;
  return configOf(options, last);
}

/** The configuration for one visit to the directory: no threads, no retrains. */
function configOf({ dataDir, config }: StateOptions, last?: LoopSnapshot['config']): OrchestratorConfig {
  return OrchestratorConfig.load({
    ...(config === undefined ? {} : { file: config }),
    environment: process.env,
    overrides: {
      ...last,
      dataDir,
      modelPath: null,
      redis: NO_BUS,
      dispatch: 'inline',
      workers: null,
      retrain: { ...last?.retrain, mode: 'manual' },
    },
  });
}
