import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { OrchestratorError } from '../errors.js';
import { PRIMARY_SIGNALS } from '../primary/primary-signal.js';
import { SIGNALS_AT, type SignalsAt } from '../primary/side-schedule.js';
import type { MarketSource, PrimaryChoice } from './market-source.js';

const BUNDLED_BARS = fileURLToPath(new URL('../../../examples/sp500-daily.csv', import.meta.url));
/** Bars of the simulated market, and the primary signal it is known for. */
const SIMULATED = { bars: 30_000, primary: 'momentum' } as const;
const REAL_PRIMARY = 'ema-cross';

/** Which market is meant. */
export interface MarketOptions {
  bars?: string;
  market?: 'simulated';
  edge: number;
  seed: number;
  instrument?: string;
  timestampIs: 'open' | 'close';
  primary?: string;
  signalsAt?: SignalsAt;
}

export interface JobOptions extends MarketOptions {
  costBps?: number;
  lookAhead?: 'refuse' | 'allow';
  config?: string;
  json: boolean;
}

/** All of {@link MarketOptions} but the file. */
export function addMarketOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--market <kind>', 'a market with a known answer instead of a file')
        .choices(['simulated'])
        .conflicts('bars'),
    )
    .option('--edge <strength>', 'what can be predicted in the simulated market: 0 nothing, 1 much', Number, 1)
    .option('--seed <number>', 'of the simulated market', Number, 1)
    .option('--instrument <id>', 'name of the instrument (default: the file name)')
    .addOption(
      new Option('--timestamp-is <edge>', 'which edge of a bar the file stamps')
        .choices(['open', 'close'])
        .default('open'),
    )
    .option('--primary <signal>', `${PRIMARY_SIGNALS.join(', ')}, or a CSV file with timestamp,side`)
    .addOption(
      new Option(
        '--signals-at <meaning>',
        'what the timestamps of that file are: the open of the bar a signal was made from, its close, or the instant of the decision',
      ).choices(SIGNALS_AT),
    );
}

export function addJobOptions(command: Command): Command {
  return addMarketOptions(command.option('--bars <file>', 'bars as CSV, gzip allowed'))
    .option('--cost-bps <bps>', 'round-trip cost in basis points', Number)
    .addOption(
      new Option('--look-ahead <policy>', 'training on sides that seem to know the bar they are labelled by').choices([
        'refuse',
        'allow',
      ]),
    )
    .option('--config <file>', 'configuration as JSON; ML4T_… variables go over it')
    .option('--json', 'one JSON document on stdout', false);
}

/** The market that is named, the bundled bars where none is. */
export function sourceOf(options: MarketOptions): MarketSource {
  if (options.market === 'simulated') return simulatedSource(options);
  const path = options.bars ?? BUNDLED_BARS;
  const instrumentId = options.instrument ?? basename(path).replace(/\.csv(\.gz)?$/i, '');
  return { kind: 'file', path, instrumentId, timestampIs: options.timestampIs };
}

export function simulatedSource({ edge, seed }: MarketOptions, bars: number = SIMULATED.bars): MarketSource {
  return { kind: 'simulated', edge, seed, bars };
}

export function primaryOf(options: MarketOptions, source: MarketSource): PrimaryChoice {
  const name = options.primary ?? (source.kind === 'simulated' ? SIMULATED.primary : REAL_PRIMARY);
  return { name, signalsAt: options.signalsAt ?? null };
}

const MARKET_ONLY = ['bars', 'market', 'instrument', 'primary', 'signalsAt'] as const;

/** Throws USAGE for an option that names a market where a stream is to teach. */
export function checkNoMarket(options: MarketOptions): void {
  const given = MARKET_ONLY.find((name) => options[name] !== undefined);
  if (given === undefined) return;
  const field = given === 'signalsAt' ? 'signals-at' : given;
  throw new OrchestratorError(
    'USAGE',
    `--${field} does not go with --redis: bars and signals are those of the stream`,
    {
      field,
    },
  );
}
