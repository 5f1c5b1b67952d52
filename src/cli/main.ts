#!/usr/bin/env node
import { createWriteStream } from 'node:fs';
import { basename } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import cliProgress from 'cli-progress';
import { Command, CommanderError, Option } from 'commander';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../config.js';
import { toErrorRecord } from '../errors.js';
import { createLogger } from '../log.js';
import { loadBarsCsv } from '../market/bars-csv.js';
import { decodeBundle } from '../model/bundle-codec.js';
import { readModelFile } from '../model/persistence.js';
import { ML4TOrchestrator } from '../orchestrator.js';
import type { TrainingProgress } from '../training/train-model.js';
import { exitCodeOf } from './exit-code.js';
import { loadPrimary, runMainJob } from './main-job.js';
import { renderMainJob, toJson } from './render.js';
import { renderBundle, renderTraining } from './render-model.js';

const BUNDLED_BARS = fileURLToPath(new URL('../../../examples/sp500-daily.csv', import.meta.url));

interface DataOptions {
  bars: string;
  instrument?: string;
  timestampIs: 'open' | 'close';
  primary: string;
  costBps?: number;
  config?: string;
  json: boolean;
}

function dataOptions(command: Command): Command {
  return command
    .option('--bars <file>', 'bars as CSV, gzip allowed (default: the bundled S&P 500 days)', BUNDLED_BARS)
    .option('--instrument <id>', 'name of the instrument (default: the file name)')
    .addOption(
      new Option('--timestamp-is <edge>', 'which edge of a bar the file stamps')
        .choices(['open', 'close'])
        .default('open'),
    )
    .option('--primary <signal>', 'ema-cross, momentum, donchian, or a CSV file with timestamp,side', 'ema-cross')
    .option('--cost-bps <bps>', 'round-trip cost in basis points', Number)
    .option('--config <file>', 'configuration as JSON; ML4T_… variables go over it')
    .option('--json', 'one JSON document on stdout', false);
}

const program = new Command('ml4t')
  .description('Live meta-labelling: how far to trust each primary signal')
  .exitOverride();

dataOptions(program.command('run'))
  .description('train on the first 70 % of the bars, replay the rest as live')
  .option('--out <file>', 'every enriched signal, one JSON document a line')
  .action(async (options: DataOptions & { out?: string }) => {
    const config = configOf(options);
    const out = options.out === undefined ? null : createWriteStream(options.out);
    const bar = progressBar();
    try {
      const result = await runMainJob(
        { ...options, barsPath: options.bars, instrumentId: instrumentOf(options) },
        config,
        createLogger('error'),
        {
          onProgress: bar.update,
          onAnswer: (answer) => out?.write(`${toJson(answer)}\n`),
          onTrained: bar.stop,
        },
      );
      print(options.json ? toJson(result.report) : renderMainJob(result));
    } finally {
      bar.stop();
      if (out) await finished(out.end());
    }
  });

dataOptions(program.command('train'))
  .description('train on all bars and store the model')
  .requiredOption('--model-dir <directory>', 'where models are kept')
  .action(async (options: DataOptions & { modelDir: string }) => {
    const config = configOf(options, { modelPath: options.modelDir });
    const instrumentId = instrumentOf(options);
    const file = await loadBarsCsv(options.bars, { instrumentId, timestampIs: options.timestampIs });
    const { byBar } = await loadPrimary(options.primary, file.bars);
    const orchestrator = new ML4TOrchestrator(config);
    const bar = progressBar();
    await orchestrator.start();
    try {
      const result = await orchestrator.train(
        { instrumentId, bars: file.bars, sides: byBar },
        { onProgress: bar.update },
      );
      bar.stop();
      print(
        options.json
          ? toJson({ modelId: orchestrator.model?.modelId ?? null, ...result.report })
          : renderTraining(result, options.modelDir),
      );
    } finally {
      bar.stop();
      await orchestrator.stop();
    }
  });

program
  .command('inspect')
  .description('show and verify a stored model')
  .argument('<model>', 'a .ml4t file')
  .option('--json', 'one JSON document on stdout', false)
  .action(async (path: string, options: { json: boolean }) => {
    const bundle = decodeBundle(await readModelFile(path));
    const { forest, goldenRows: _rows, goldenConfidences: _confidences, ...header } = bundle;
    const { treeCount, depth } = forest;
    print(options.json ? toJson({ ...header, forest: { treeCount, depth } }) : renderBundle(bundle));
  });

function configOf(options: DataOptions, extra: OrchestratorConfigInput = {}): OrchestratorConfig {
  const labels = options.costBps === undefined ? {} : { labels: { costBps: options.costBps } };
  return OrchestratorConfig.load({
    ...(options.config === undefined ? {} : { file: options.config }),
    environment: process.env,
    overrides: { ...labels, ...extra },
  });
}

function instrumentOf(options: DataOptions): string {
  return options.instrument ?? basename(options.bars).replace(/\.csv(\.gz)?$/i, '');
}

/** A bar on stderr where that is a terminal, nothing elsewhere. */
function progressBar(): { update: (progress: TrainingProgress) => void; stop: () => void } {
  const bar = new cliProgress.SingleBar({
    format: 'training [{bar}] {percentage} % {step}',
    stream: process.stderr,
    clearOnComplete: true,
  });
  let started = false;
  return {
    update: ({ share, step, fold, folds }) => {
      if (!started) bar.start(1, 0, { step: '' });
      started = true;
      bar.update(share, { step: step === 'folds' ? `fold ${fold + 1} of ${folds}` : step });
    },
    stop: () => bar.stop(),
  };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    const { code, message } = toErrorRecord(error, 'TRAINING_FAILED');
    process.stderr.write(`ml4t: ${message} [${code}]\n`);
    process.exitCode = exitCodeOf(error);
  }
}
