import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { Bar } from '../../src/market/bar.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from '../support/captured-log.js';
import { ROOT } from '../support/readme.js';
import type { SentSignal } from './python-run.js';

/** Of a busy venue; a quiet one has the first alone. */
export const BUSY_INSTRUMENTS = ['SPX.SIM', 'ABC.SIM', 'BRK.B.SIM', 'BTC-USD.SIM'] as const;
/** Each instrument has the prices of other rows of the file, all have the days of the first. */
const ROWS_APART = 700;
const DAY_NS = 86_400_000_000_000n;

/** The bars that a run of the example has. */
export interface PlayedBars {
  readonly barCount: number;
  readonly isWithoutHoles: boolean;
  readonly isBusy: boolean;
}

/** What the library answers in process to the same signals, each after its own bar and before the next. */
export async function expectedAnswers(
  bundle: ModelBundle,
  config: OrchestratorConfigInput,
  played: PlayedBars,
  signals: readonly SentSignal[],
): Promise<Map<string, EnrichedSignalEvent>> {
  const placeOf = (instrumentId: string, at: bigint): string => `${instrumentId} ${at}`;
  const sentAt = new Map(signals.map((sent) => [placeOf(sent.instrumentId, BigInt(sent.timestamp)), sent]));
  const answers = new Map<string, EnrichedSignalEvent>();
  const system = new ML4TOrchestrator({ ...config, dispatch: 'inline' }, { logger: silentLogger });
  try {
    await system.start();
    await system.hotSwapModel(bundle);
    for (const { instrumentId, bar } of playedBars(played)) {
      system.addBar(instrumentId, bar);
      const sent = sentAt.get(placeOf(instrumentId, bar.tsEventNs));
      if (sent === undefined) continue;
      const { signalId, side: signal } = sent;
      const event = { instrumentId, signal, timestamp: bar.tsEventNs, signalId };
      answers.set(signalId, system.processSignalSync(event));
    }
    return answers;
  } finally {
    await system.stop();
  }
}

/** In the order in which they come. */
export function playedBars({ barCount, isWithoutHoles, isBusy }: PlayedBars): { instrumentId: string; bar: Bar }[] {
  const rows = dailyBars(isWithoutHoles);
  const instruments = BUSY_INSTRUMENTS.slice(0, isBusy ? undefined : 1);
  return rows
    .slice(0, barCount)
    .flatMap(({ tsEventNs }, day) =>
      instruments.map((instrumentId, at) => ({ instrumentId, bar: { ...rows[day + at * ROWS_APART]!, tsEventNs } })),
    );
}

/** The rows of the example, stamped at their close, read without the help of what is tested. */
function dailyBars(isWithoutHoles: boolean): Bar[] {
  const rows = readFileSync(join(ROOT, 'examples/sp500-daily.csv'), 'utf8').trimEnd().split('\n').slice(1);
  const first = Date.parse(`${rows[0]!.split(',')[0]}T00:00:00Z`);
  return rows.map((row, at) => {
    const [date, ...values] = row.split(',');
    const [open, high, low, close, volume] = values.map(Number) as [number, number, number, number, number];
    const openNs = isWithoutHoles
      ? BigInt(first) * 1_000_000n + BigInt(at) * DAY_NS
      : BigInt(Date.parse(`${date}T00:00:00Z`)) * 1_000_000n;
    const tsEventNs = openNs + DAY_NS;
    return { tsEventNs, open, high, low, close, volume };
  });
}
