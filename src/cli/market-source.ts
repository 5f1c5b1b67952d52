import { relative } from 'node:path';
import { OrchestratorError } from '../errors.js';
import type { BarSeries } from '../market/bar.js';
import { loadBarsCsv } from '../market/bars-csv.js';
import { PRIMARY_SIGNALS, type PrimarySignalName, primarySides } from '../primary/primary-signal.js';
import { type SignalsAt, scheduleOf } from '../primary/side-schedule.js';
import { simulateMarket } from '../simulation/simulated-market.js';
import { readSidesCsv, type SidesFile } from './sides-csv.js';

/** Where the bars of a job come from. */
export type MarketSource =
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly instrumentId: string;
      readonly timestampIs: 'open' | 'close';
    }
  | { readonly kind: 'simulated'; readonly edge: number; readonly seed: number; readonly bars: number };

/** Bars with what is known of their origin. */
export interface Market {
  readonly bars: BarSeries;
  readonly instrumentId: string;
  readonly source: string;
  readonly timestampIs: 'open' | 'close';
  readonly intervalNs: bigint;
  readonly ignoredColumns: readonly string[];
  /** Stamps within 1 ms before a whole second, which count as that second. */
  readonly roundedCount: number;
}

/** The bars of a file, or of a simulated market, whose minute bars are stamped at their close. Throws what is wrong with the file or the parameters. */
export async function openMarket(source: MarketSource): Promise<Market> {
  if (source.kind === 'simulated') {
    const { edge, seed } = source;
    const bars = simulateMarket({ bars: source.bars, edge, seed });
    const described = `the simulated market (edge ${edge}, seed ${seed})`;
    return {
      bars,
      instrumentId: 'simulated',
      source: described,
      timestampIs: 'close',
      intervalNs: 60_000_000_000n,
      ignoredColumns: [],
      roundedCount: 0,
    };
  }
  const { path, instrumentId, timestampIs } = source;
  const file = await loadBarsCsv(path, { instrumentId, timestampIs });
  return { ...file, instrumentId, source: relative(process.cwd(), path) };
}

/** Which primary signal is meant. */
export interface PrimaryChoice {
  /** A built-in one, or a file. */
  readonly name: string;
  /** What the stamps of a file are; null where it was not said. */
  readonly signalsAt: SignalsAt | null;
}

/** The built-in primary signal of that name, or the file's. Throws USAGE, or what {@link readSidesCsv} throws. */
export async function loadPrimary({ name, signalsAt }: PrimaryChoice, market: Market): Promise<SidesFile> {
  const { bars } = market;
  if ((PRIMARY_SIGNALS as readonly string[]).includes(name)) {
    if (signalsAt !== null) {
      const message = `--signals-at is about the timestamps of a file, and ${name} is built in`;
      throw new OrchestratorError('USAGE', message, { field: 'signals-at' });
    }
    return { ...scheduleOf(primarySides(name as PrimarySignalName, bars), bars), roundedCount: 0 };
  }
  if (!name.includes('.') && !name.includes('/')) {
    throw new OrchestratorError('USAGE', `--primary ${name} is none of ${PRIMARY_SIGNALS.join(', ')}, nor a file`, {
      field: 'primary',
    });
  }
  return readSidesCsv(name, bars, market, signalsAt);
}
