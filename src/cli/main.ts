#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import cliProgress from 'cli-progress';
import { Command, CommanderError, Option } from 'commander';
import { systemClock } from '../clock.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../config.js';
import { OrchestratorError, toErrorRecord } from '../errors.js';
import { createLogger } from '../log.js';
import { decodeBundle } from '../model/bundle-codec.js';
import { readModelFile } from '../model/persistence.js';
import { ML4TOrchestrator } from '../orchestrator.js';
import { type Alignment, alignmentOf, alignmentOfSeries } from '../primary/side-schedule.js';
import type { TrainingProgress } from '../training/train-model.js';
import type { TrainingSeries } from '../training/training-series.js';
import { BREAK_MIN, tellBreakStory } from './break-story.js';
import { addBusCommands } from './bus-commands.js';
import { addBusOptions, type BusOptions, busConfigOf, checkNoBus, NO_BUS } from './bus-options.js';
import { exitCodeOf } from './exit-code.js';
import { addJobOptions, checkNoMarket, type JobOptions, primaryOf, simulatedSource, sourceOf } from './job-options.js';
import { type MainJobResult, runMainJob } from './main-job.js';
import { loadPrimary, type MarketSource, openMarket } from './market-source.js';
import { readStreamLesson } from './read-stream-lesson.js';
import { renderComparison, renderMainJob, toJson } from './render.js';
import { renderBundle, renderTraining } from './render-model.js';
import { renderStory } from './render-story.js';
import { renderStreamLesson } from './render-stream-lesson.js';
import { serve } from './serve.js';
import { renderServeEvent } from './serve-events.js';
import { addStateCommands } from './state-commands.js';
import type { StreamLessonCounts } from './stream-lesson.js';

const BENCHES = fileURLToPath(new URL('../../bench/run.js', import.meta.url));

type RunOptions = JobOptions &
  BusOptions & {
    dataDir?: string;
    modelDir?: string;
    out?: string;
    breakAt?: number;
  };

/** What a command is to learn, and how its files were understood. */
interface Lesson {
  readonly series: TrainingSeries;
  readonly roundedCount: number;
  readonly alignment: Alignment;
}

const program = new Command('ml4t')
  .description('Live meta-labelling: how far to trust each primary signal')
  .exitOverride();

addBusOptions(addJobOptions(program.command('run')))
  .description(
    'train on the first 70 % of the bars, replay the rest as live (default: the bundled S&P 500 days beside a simulated market); with --redis: serve a bus',
  )
  .option('--data-dir <directory>', 'with --redis: where models and everything else are kept')
  .option('--model-dir <directory>', 'with --redis: where models are kept, and nothing else')
  .addOption(new Option('--out <file>', 'every enriched signal, one JSON document a line').conflicts('redis'))
  .addOption(
    new Option(
      '--break-at <bar>',
      'simulated market: the edge vanishes at this bar and later returns reversed; prints the whole story',
    )
      .argParser(Number)
      .conflicts('redis'),
  )
  .action(async (options: RunOptions) => {
    if (options.redis !== undefined) {
      await runServe(options);
      return;
    }
    checkNoBus({ ...options });
    const config = configOf(options);
    if (options.breakAt !== undefined) {
      await runStory(options, options.breakAt, config);
      return;
    }
    const out = options.out === undefined ? null : createWriteStream(options.out);
    const run = async (source: MarketSource): Promise<MainJobResult> => {
      const market = await openMarket(source);
      const bar = progressBar();
      try {
        return await runMainJob(market, primaryOf(options, source), config, createLogger('error'), {
          onProgress: bar.update,
          onTrained: bar.stop,
          onAnswer: (answer) => out?.write(`${toJson(answer)}\n`),
        });
      } finally {
        bar.stop();
      }
    };
    try {
      const result = await run(sourceOf(options));
      const single = options.bars !== undefined || options.market !== undefined;
      const simulated = single ? null : await run(simulatedSource(options));
      if (simulated === null) print(options.json ? toJson(result.report) : renderMainJob(result));
      else
        print(
          options.json
            ? toJson({ ...result.report, simulated: simulated.report })
            : renderComparison(result, simulated),
        );
    } finally {
      if (out) await finished(out.end());
    }
  });

addBusOptions(addJobOptions(program.command('train')))
  .description(
    'train on all bars and store the model; with --redis: on the bars and signals that a partition holds, which is only read',
  )
  .requiredOption('--model-dir <directory>', 'where models are kept')
  .action(async (options: JobOptions & BusOptions & { modelDir: string }) => {
    const config = configOf(options, { modelPath: options.modelDir, dispatch: 'inline' });
    const { series, counts, partition, ...understood } = await trainingLessonOf(options);
    const orchestrator = new ML4TOrchestrator(config);
    const bar = progressBar();
    await orchestrator.start();
    try {
      const result = await orchestrator.train(series, { onProgress: bar.update });
      bar.stop();
      print(
        options.json
          ? toJson({ modelId: orchestrator.model?.modelId ?? null, ...understood, stream: counts, ...result.report })
          : [
              ...(counts === null ? [] : [renderStreamLesson(counts, partition)]),
              renderTraining(result, options.modelDir, {
                ...understood,
                roundedCount: counts === null ? understood.roundedCount : 0,
                entry: config.labels.entry,
              }),
            ].join('\n'),
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

program
  .command('bench')
  .description('measure this machine; every bench checks its answers before it prints a number')
  .argument('[names...]', 'parts of the names of benches (default: all)')
  .option('--runs <count>', 'rounds, of which medians are taken', '3')
  .option('--json <file>', 'where the figures go as JSON')
  .option('--smoke', 'only show that the benches work', false)
  .action((names: string[], options: { runs: string; json?: string; smoke: boolean }) => {
    const json = options.json === undefined ? [] : ['--json', options.json];
    const flags = ['--runs', options.runs, ...json, ...(options.smoke ? ['--smoke'] : [])];
    const { status } = spawnSync(process.execPath, [BENCHES, ...flags, ...names], { stdio: 'inherit' });
    process.exitCode = status ?? 1;
  });

addStateCommands(program, print);
addBusCommands(program, print);

async function runServe(options: RunOptions): Promise<void> {
  const { dataDir, modelDir, json } = options;
  const config = busConfigOf(options, {
    ...lessonSettings(options),
    ...(dataDir !== undefined && { dataDir }),
    ...(modelDir !== undefined && { modelPath: modelDir }),
  });
  const isTaught = options.bars !== undefined || options.market !== undefined;
  const bar = progressBar();
  await serve({
    config,
    lesson: isTaught ? async () => (await lessonOf(options)).series : null,
    tell: (event) => print(json ? toJson({ ...event, atNs: systemClock.epochNs() }) : renderServeEvent(event)),
    onProgress: bar.update,
    onTrained: bar.stop,
  });
}

async function lessonOf(options: JobOptions): Promise<Lesson> {
  const source = sourceOf(options);
  const market = await openMarket(source);
  const { bars, instrumentId, roundedCount } = market;
  const primary = await loadPrimary(primaryOf(options, source), market);
  return {
    series: { instrumentId, bars, sides: primary.byBar, decidedNs: primary.decidedNs },
    roundedCount: roundedCount + primary.roundedCount,
    alignment: alignmentOf(primary, bars),
  };
}

/** Of a market, or of a stream with what was found in it. */
async function trainingLessonOf(options: JobOptions & BusOptions): Promise<
  Omit<Lesson, 'series'> & {
    series: TrainingSeries | readonly TrainingSeries[];
    counts: StreamLessonCounts | null;
    partition: string;
  }
> {
  if (options.redis === undefined) {
    checkNoBus({ ...options, modelDir: undefined });
    return { ...(await lessonOf(options)), counts: null, partition: '' };
  }
  checkNoMarket(options);
  const config = busConfigOf(options, lessonSettings(options));
  const { series, counts } = await readStreamLesson(config);
  const { roundedCount, withoutBar } = counts;
  const alignment = alignmentOfSeries(series, withoutBar);
  return { series, roundedCount, alignment, counts, partition: config.redis.partition };
}

async function runStory(options: JobOptions, breakAt: number, config: OrchestratorConfig): Promise<void> {
  if (options.market !== 'simulated' || !(breakAt >= BREAK_MIN)) {
    throw new OrchestratorError('USAGE', `--break-at takes a bar from ${BREAK_MIN} on and --market simulated`, {
      field: 'breakAt',
    });
  }
  const { edge, seed } = options;
  const bar = storyBar();
  try {
    const story = await tellBreakStory({ edge, seed, breakAt, onProgress: bar.update }, config, createLogger('error'));
    bar.stop();
    print(options.json ? toJson(story) : renderStory(story));
  } finally {
    bar.stop();
  }
}

/** Apart from any bus: a job that is done once must not take messages from the process that serves. */
function configOf(options: JobOptions, extra: OrchestratorConfigInput = {}): OrchestratorConfig {
  return OrchestratorConfig.load({
    ...(options.config === undefined ? {} : { file: options.config }),
    environment: process.env,
    overrides: { ...lessonSettings(options), ...extra, redis: NO_BUS },
  });
}

function lessonSettings({ costBps, lookAhead }: JobOptions): OrchestratorConfigInput {
  return {
    ...(costBps !== undefined && { labels: { costBps } }),
    ...(lookAhead !== undefined && { training: { lookAhead } }),
  };
}

/** As {@link progressBar}, for the story's bars. */
function storyBar(): { update: (bar: number, bars: number) => void; stop: () => void } {
  const bar = new cliProgress.SingleBar({
    format: 'living [{bar}] {percentage} % bar {value} of {total}',
    stream: process.stderr,
    clearOnComplete: true,
  });
  let started = false;
  return {
    update: (value, total) => {
      if (!started) bar.start(total, 0);
      started = true;
      bar.update(value);
    },
    stop: () => bar.stop(),
  };
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
