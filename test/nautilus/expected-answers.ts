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

const INSTRUMENT = 'SPX.SIM';
const DAY_NS = 86_400_000_000_000n;

/** What the library answers in process to the same signals, each after its own bar and before the next. */
export async function expectedAnswers(
  bundle: ModelBundle,
  config: OrchestratorConfigInput,
  { barCount, isWithoutHoles }: { readonly barCount: number; readonly isWithoutHoles: boolean },
  signals: readonly SentSignal[],
): Promise<Map<string, EnrichedSignalEvent>> {
  const byTime = new Map(signals.map((signal) => [BigInt(signal.timestamp), signal]));
  const answers = new Map<string, EnrichedSignalEvent>();
  const system = new ML4TOrchestrator({ ...config, dispatch: 'inline' }, { logger: silentLogger });
  try {
    await system.start();
    await system.hotSwapModel(bundle);
    for (const bar of dailyBars(isWithoutHoles).slice(0, barCount)) {
      system.addBar(INSTRUMENT, bar);
      const sent = byTime.get(bar.tsEventNs);
      if (sent === undefined) continue;
      const { signalId, side: signal } = sent;
      answers.set(
        signalId,
        system.processSignalSync({ instrumentId: INSTRUMENT, signal, timestamp: bar.tsEventNs, signalId }),
      );
    }
    return answers;
  } finally {
    await system.stop();
  }
}

/** The bars of the example, stamped at their close, read without the help of what is tested. */
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
