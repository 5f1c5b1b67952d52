import type { OrchestratorConfigInput } from '../../src/config.js';
import type { Bar } from '../../src/market/bar.js';
import type { SignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import type { SuppliedOutcome } from '../../src/outcomes/outcome-event.js';
import { seededUniform } from '../../src/random.js';
import { fixtureBars, relabelled } from './bundles.js';
import { FAULT_FEATURE } from './faults.js';
import { MINUTE_NS } from './market.js';
import { COMMON_CONFIG, twoBundles } from './reference-answers.js';
import { rivalsOf } from './rival-bundles.js';

/** One thing that is put into the orchestrator. */
export type CrashEvent =
  | { readonly kind: 'bar'; readonly instrument: number; readonly sequence: number; readonly bar: Bar }
  | { readonly kind: 'signal'; readonly event: SignalEvent & { readonly signalId: string } }
  | { readonly kind: 'outcome'; readonly signalId: string; readonly outcome: SuppliedOutcome }
  | { readonly kind: 'install'; readonly model: number }
  /** `model`: the champion afterwards. */
  | { readonly kind: 'rollback'; readonly model: number };

export const CRASH_INSTRUMENTS = ['X', 'A', 'B'];
export const HORIZON_BARS = 10;

/** Retrains are told and not run: what comes out then depends on nothing but the input. Rings wrap, triggers fire, and signals of a quiet instrument expire. */
export function crashConfig(dataDir: string): OrchestratorConfigInput {
  return {
    ...COMMON_CONFIG,
    dataDir,
    dispatch: 'inline',
    store: { instrumentsMax: 8, barsPerInstrument: 128 },
    labels: { maxHoldingBars: HORIZON_BARS },
    outcomeExpiryNs: 20n * MINUTE_NS,
    retrainMinSamples: 100,
    retrainIntervalBars: 150,
    retrain: { mode: 'manual', cooldownBars: 40, sampleCount: 150, labelsPerFalseAlarm: 200 },
  };
}

/** Models that answer alike enough for none to be refuted, and never quite alike. */
export async function crashBundles(): Promise<ModelBundle[]> {
  const [first, second] = await twoBundles();
  return [...rivalsOf(first, 2), ...rivalsOf(second, 2)].map(longTrained);
}

/** The bundle as if trained long ago: only on signals after its training is a model watched. */
export function longTrained(bundle: ModelBundle): ModelBundle {
  return relabelled(bundle, { trainingStartNs: 1n, trainingEndNs: 2n });
}

/**
 * The same events for the same number of minutes: every minute a bar of each instrument, then signals on most of them, some outcomes told by the user (before and after the barriers
 * were met, some twice), and models installed and rolled back now and then. One instrument has no bars for a while.
 */
export function crashEvents(minutes: number): CrashEvent[] {
  const random = seededUniform(11);
  const series = CRASH_INSTRUMENTS.map((_name, k) => fixtureBars(minutes, 31 + k));
  const sequences = CRASH_INSTRUMENTS.map(() => 0);
  const events: CrashEvent[] = [];
  const models = modelEvents(minutes);
  for (let minute = 0; minute < minutes; minute++) {
    const isQuiet = minute >= minutes * 0.55 && minute < minutes * 0.55 + 30;
    events.push(...(models.get(minute) ?? []));
    for (const [instrument, bars] of series.entries()) {
      if (isQuiet && instrument === 2) continue;
      events.push({ kind: 'bar', instrument, sequence: sequences[instrument]!++, bar: bars.at(minute) });
    }
    for (const [instrument, instrumentId] of CRASH_INSTRUMENTS.entries()) {
      const draw = random();
      if (draw < 0.3) continue;
      events.push({
        kind: 'signal',
        event: {
          instrumentId,
          signalId: `${instrumentId}${minute}`,
          signal: draw < 0.6 ? 1 : draw < 0.95 ? -1 : 0,
          timestamp: series[instrument]!.tsEventNs[minute]!,
          features: { [FAULT_FEATURE]: minute },
        },
      });
    }
    events.push(...told(minute, events, random));
  }
  return events;
}

/** What the user says about a signal of some minutes before, whose horizon is open. */
function told(minute: number, events: readonly CrashEvent[], random: () => number): CrashEvent[] {
  if (random() > 0.15) return [];
  const signalId = `X${minute - Math.floor(random() * HORIZON_BARS)}`;
  const isSent = events.some(
    (one) => one.kind === 'signal' && one.event.signalId === signalId && one.event.signal !== 0,
  );
  // The first bars have no volatility: their signals are closed at once.
  if (!isSent || minute < 3 * HORIZON_BARS) return [];
  const outcome = random() < 0.5 ? 'profit' : 'timeout';
  return [{ kind: 'outcome', signalId, outcome: { outcome, grossReturn: (random() - 0.5) / 100 } }];
}

function modelEvents(minutes: number): Map<number, CrashEvent[]> {
  const at = (share: number): number => Math.floor(share * minutes);
  return new Map<number, CrashEvent[]>([
    [at(0.1), [{ kind: 'install', model: 0 }]],
    [at(0.3), [{ kind: 'install', model: 1 }]],
    [at(0.4), [{ kind: 'rollback', model: 0 }]],
    [at(0.5), [{ kind: 'install', model: 2 }]],
    [at(0.6), [{ kind: 'install', model: 3 }]],
  ]);
}
