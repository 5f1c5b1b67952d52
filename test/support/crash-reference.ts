import { isDeepStrictEqual } from 'node:util';
import type { LoopSnapshot } from '../../src/loop/loop-snapshot.js';
import type { OpenedLoop } from '../../src/loop/open-loop.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import type { StoredBars } from '../../src/shared-memory/stored-bars.js';
import { joinBars } from '../../src/state/bar-blocks.js';
import type { OutcomeRecord, SignalRecord } from '../../src/state/records.js';
import { openStateReader } from '../../src/state/state-store.js';
import { silentLogger } from './captured-log.js';
import { CRASH_INSTRUMENTS, type CrashEvent, crashConfig } from './crash-input.js';
import { play } from './crash-player.js';

/** What lies under a data directory, less what the wall clock and the number of restarts have to do with. */
export interface StoredRun {
  readonly snapshot: object;
  readonly serial: number;
  readonly barCounts: readonly number[];
  readonly bars: readonly StoredBars[];
  readonly signals: readonly Omit<SignalRecord, 'generation' | 'latencyNs'>[];
  readonly outcomes: readonly OutcomeRecord[];
  readonly verdicts: readonly string[];
  readonly roles: Readonly<Record<string, string>>;
}

/** The snapshot without instants of the wall clock and generations. */
function timeless(snapshot: LoopSnapshot): object {
  const { generation: _generation, watch, ...rest } = snapshot;
  const { trainedAtNs: _trainedAtNs, pending, ...monitor } = watch.monitor;
  return { ...rest, watch: { ...watch, monitor: { ...monitor, pending: pending?.reasons ?? null } } };
}

function keyOf(
  barCounts: readonly number[],
  snapshot: Pick<LoopSnapshot, 'nextOrdinal' | 'nextVerdict' | 'watch'>,
): string {
  return [...barCounts, snapshot.nextOrdinal, snapshot.nextVerdict, snapshot.watch.serial].join(' ');
}

/** Reads everything, as another process would; null where nothing has been stored yet. */
export async function readRun(dataDir: string): Promise<(StoredRun & { readonly key: string }) | null> {
  const reader = openStateReader<LoopSnapshot>(dataDir);
  try {
    const { stored } = reader;
    const snapshot = stored.readSnapshot();
    if (snapshot === null) return null;
    const instruments = new Map(stored.instruments().map((one) => [one.instrumentId, one.newest + 1]));
    const barCounts = CRASH_INSTRUMENTS.map((name) => instruments.get(name) ?? 0);
    return {
      key: keyOf(barCounts, snapshot),
      serial: snapshot.watch.serial,
      snapshot: timeless(snapshot),
      barCounts,
      bars: CRASH_INSTRUMENTS.flatMap((name) => (instruments.has(name) ? joinBars([...stored.bars(name)]) : [])),
      signals: [...stored.signals()].map(({ generation: _generation, latencyNs: _latencyNs, ...rest }) => rest),
      outcomes: [...stored.outcomes()],
      verdicts: [...stored.verdicts()].map(
        ({ kind, challengerId, championId }) => `${kind} ${championId} ${challengerId}`,
      ),
      roles: Object.fromEntries([...stored.models()].map(({ modelId, role }) => [modelId, role])),
    };
  } finally {
    await reader.close();
  }
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? `${one}` : one));
}

/** Names of what two records of one kind do not have in common. */
function fieldsThatDiffer<T extends object>(one: T, other: T): string[] {
  return (Object.keys({ ...one, ...other }) as (keyof T & string)[]).filter(
    (name) => !isDeepStrictEqual(one[name], other[name]),
  );
}

/** A state the uninterrupted run went through, and between which of its events. */
interface Instant {
  readonly first: number;
  last: number;
  readonly snapshot: object;
}

/** The run that nobody interrupts: what is stored in the end, and the state after each event. */
export class CrashReference {
  private readonly instants = new Map<string, Instant>();
  private readonly resolvedAt = new Map<string, number>();
  /** Rollbacks that nobody asked for, after which the input would no longer fit. */
  rollbacksByEvidence = 0;

  private constructor(
    readonly events: readonly CrashEvent[],
    readonly bundles: readonly ModelBundle[],
  ) {}

  end!: StoredRun;

  static async run(
    events: readonly CrashEvent[],
    bundles: readonly ModelBundle[],
    dataDir: string,
  ): Promise<CrashReference> {
    const reference = new CrashReference(events, bundles);
    const orchestrator = new ML4TOrchestrator(crashConfig(dataDir), { logger: silentLogger });
    let index = -1;
    orchestrator.events.on('outcomeResolved', ({ signalId }) => reference.resolvedAt.set(signalId, index));
    orchestrator.events.on('rolledBack', ({ reason }) => {
      if (reason === 'evidence') reference.rollbacksByEvidence++;
    });
    await orchestrator.start();
    const { loop } = (orchestrator as unknown as { readonly opened: OpenedLoop }).opened;
    const barCounts = CRASH_INSTRUMENTS.map(() => 0);
    reference.remember(barCounts, loop.snapshot(), index);
    for (const event of events) {
      index++;
      if (event.kind === 'bar') barCounts[event.instrument] = event.sequence + 1;
      await play(orchestrator, event, bundles);
      loop.book.enterAll();
      reference.remember(barCounts, loop.snapshot(), index);
    }
    await orchestrator.stop();
    reference.end = (await readRun(dataDir))!;
    return reference;
  }

  private remember(barCounts: readonly number[], snapshot: LoopSnapshot, index: number): void {
    const key = keyOf(barCounts, snapshot);
    const known = this.instants.get(key);
    if (known === undefined) this.instants.set(key, { first: index, last: index, snapshot: timeless(snapshot) });
    else known.last = index;
  }

  /** What of a stored state is not the uninterrupted run's at the same instant; nothing where all of it is. */
  differences(run: StoredRun & { readonly key: string }): string[] {
    const instant = this.instants.get(run.key);
    if (instant === undefined) return [`no instant of the run is ${run.key}`];
    const wrong: string[] = [];
    const check = (isRight: boolean, what: string): void => void (isRight || wrong.push(what));
    check(
      isDeepStrictEqual(run.snapshot, instant.snapshot),
      `snapshot at ${run.key}: ${textOf(run.snapshot)} for ${textOf(instant.snapshot)}`,
    );
    const { end } = this;
    for (const [k, signal] of run.signals.entries()) {
      const expected = end.signals[k];
      const fields = expected === undefined ? ['all'] : fieldsThatDiffer(signal, expected);
      check(
        fields.length === 0,
        `signal ${signal.signalId}: ${fields} (rival ${textOf(signal.rival)} for ${textOf(expected?.rival)})`,
      );
    }
    const seen = new Set<number>();
    for (const outcome of run.outcomes) {
      const resolvedAt = this.resolvedAt.get(outcome.signalId) ?? Number.POSITIVE_INFINITY;
      check(resolvedAt <= instant.last && !seen.has(outcome.ordinal), `outcome of ${outcome.signalId}`);
      check(run.signals[outcome.ordinal]?.signalId === outcome.signalId, `signal of outcome ${outcome.ordinal}`);
      seen.add(outcome.ordinal);
      // A user's word may still be completed, or replace what the barriers said, and a signal that expires loses what they said.
      const expected = end.outcomes.find(({ ordinal }) => ordinal === outcome.ordinal);
      const isFinal = expected?.source === 'barriers' && expected.outcome !== 'expired';
      check(!isFinal || isDeepStrictEqual(outcome, expected), `outcome ${textOf(outcome)} for ${textOf(expected)}`);
    }
    for (const { ordinal, signalId } of run.signals) {
      if ((this.resolvedAt.get(signalId) ?? Number.POSITIVE_INFINITY) > instant.first) continue;
      check(seen.has(ordinal), `no outcome of ${signalId}`);
    }
    check(
      run.verdicts.every((verdict, k) => verdict === end.verdicts[k]),
      'verdicts',
    );
    check(Object.values(run.roles).filter((role) => role === 'champion').length <= 1, 'champions');
    return wrong;
  }

  /** What of a finished run is not as it would have been. */
  finalDifferences(run: StoredRun): string[] {
    const { end } = this;
    const wrong = (['snapshot', 'bars', 'signals', 'verdicts', 'roles'] as const).filter(
      (part) => !isDeepStrictEqual(run[part], end[part]),
    ) as string[];
    for (const [k, outcome] of end.outcomes.entries()) {
      const fields = run.outcomes[k] === undefined ? ['all'] : fieldsThatDiffer(run.outcomes[k], outcome);
      if (fields.length > 0) wrong.push(`outcome of ${outcome.signalId}: ${fields}`);
    }
    if (run.outcomes.length !== end.outcomes.length) wrong.push('number of outcomes');
    return wrong;
  }
}
