import { OrchestratorError, toErrorRecord } from '../errors.js';
import { StoredModels } from '../loop/stored-models.js';
import { BAR_VALUES } from '../shared-memory/stored-bars.js';
import type { StoredInstrument, StoredState } from '../state/stored-state.js';

export const EXPORTS = ['bars', 'signals', 'outcomes', 'verdicts'] as const;
export type ExportName = (typeof EXPORTS)[number];

/** One value of a row; objects are figures of a verdict. */
export type Cell = string | number | bigint | boolean | object | null;

export interface ExportTable {
  readonly columns: readonly string[];
  /** Values in column order, read as they are asked for. */
  readonly rows: Iterable<readonly Cell[]>;
}

type State = StoredState<unknown>;

/** What is recorded, as a table. `instrumentId` null: of all. Rejects with NO_ROWS for an instrument that is not known, and with USAGE for verdicts of one instrument. */
export async function exportTable(
  stored: State,
  what: ExportName,
  options: { readonly dataDir: string; readonly instrumentId: string | null },
): Promise<ExportTable> {
  const { instrumentId, dataDir } = options;
  switch (what) {
    case 'bars':
      return barTable(stored, instrumentsFor(stored, instrumentId));
    case 'signals':
      return signalTable(stored, instrumentId, await featureLists(new StoredModels(dataDir, stored.models())));
    case 'outcomes':
      return outcomeTable(stored, instrumentId);
    case 'verdicts':
      if (instrumentId === null) return verdictTable(stored);
      throw new OrchestratorError('USAGE', 'verdicts are of no one instrument: leave --instrument out');
  }
}

function instrumentsFor(stored: State, instrumentId: string | null): readonly StoredInstrument[] {
  const all = stored.instruments();
  if (instrumentId === null) return all;
  const chosen = all.filter((one) => one.instrumentId === instrumentId);
  if (chosen.length > 0) return chosen;
  throw new OrchestratorError('NO_ROWS', `no bar of ${instrumentId} is recorded`, { field: 'instrument' });
}

/** Where no volume is known there is no such column, as in a bar file: so {@link readBarsCsv} reads it back. */
function barTable(stored: State, instruments: readonly StoredInstrument[]): ExportTable {
  const values = hasVolume(stored, instruments) ? BAR_VALUES : BAR_VALUES.filter((name) => name !== 'volume');
  return { columns: ['instrumentId', 'sequence', 'timestamp', ...values], rows: rows() };

  function* rows(): Iterable<readonly Cell[]> {
    for (const { instrumentId } of instruments) {
      for (const { firstSequence, count, columns } of stored.bars(instrumentId)) {
        for (let k = 0; k < count; k++) {
          yield [instrumentId, firstSequence + k, columns.tsEventNs[k]!, ...values.map((name) => columns[name][k]!)];
        }
      }
    }
  }
}

function hasVolume(stored: State, instruments: readonly StoredInstrument[]): boolean {
  for (const { instrumentId } of instruments) {
    for (const { columns } of stored.bars(instrumentId)) {
      if (columns.volume.some((volume) => !Number.isNaN(volume))) return true;
    }
  }
  return false;
}

/** The different lists of features that kept models were trained on. */
async function featureLists(models: StoredModels): Promise<string[][]> {
  const lists = new Map<string, string[]>();
  for (const { modelId } of models.records) {
    try {
      const { featureNames } = await models.read(modelId);
      lists.set(JSON.stringify(featureNames), [...featureNames]);
    } catch (error) {
      // A file that is gone or damaged names nothing; `models show` and `reconcile` say so.
      if (toErrorRecord(error, 'USAGE').code === 'USAGE') throw error;
    }
  }
  return [...lists.values()];
}

function signalTable(stored: State, instrumentId: string | null, lists: readonly (readonly string[])[]): ExportTable {
  const lengths = rowLengths(stored, instrumentId);
  const columns = [...SIGNAL_COLUMNS, ...rowColumns(lists, lengths)];
  const width = columns.length - SIGNAL_COLUMNS.length;
  return { columns, rows: rows() };

  function* rows(): Iterable<readonly Cell[]> {
    for (const signal of stored.signals()) {
      // What came since the rows were looked at might not fit.
      if (signal.ordinal > lengths.newest) return;
      if (instrumentId !== null && signal.instrumentId !== instrumentId) continue;
      const { rival, row } = signal;
      const fixed = SIGNAL_FIELDS.map((name) => signal[name]);
      const features = Array.from({ length: width }, (_, k) => row[k] ?? null);
      yield [...fixed, rival?.modelId ?? null, rival?.confidence ?? null, ...features];
    }
  }
}

const SIGNAL_FIELDS = [
  'ordinal',
  'signalId',
  'instrumentId',
  'side',
  'timestampNs',
  'asOf',
  'asOfNs',
  'generation',
  'modelId',
  'confidence',
  'regimeWeight',
  'toxicity',
  'size',
  'sizeReason',
  'modelAvailable',
  'regimeAvailable',
  'toxicityAvailable',
  'degraded',
  'latencyNs',
] as const;
const SIGNAL_COLUMNS = [...SIGNAL_FIELDS, 'rivalModelId', 'rivalConfidence'];

interface RowLengths {
  readonly lengths: ReadonlySet<number>;
  readonly newest: number;
}

function rowLengths(stored: State, instrumentId: string | null): RowLengths {
  const lengths = new Set<number>();
  let newest = -1;
  for (const signal of stored.signals()) {
    newest = signal.ordinal;
    if (signal.row.length > 0 && (instrumentId === null || signal.instrumentId === instrumentId))
      lengths.add(signal.row.length);
  }
  return { lengths, newest };
}

/**
 * Names of the feature columns, which are the same for all rows of a table. By name if every kept model was trained on one list of features and every row is as long as it; else by position,
 * f0, f1, …, as a name would be wrong for some of the rows: `modelId` then says whose list a row follows. The prefix keeps a user's feature apart from a field of the answer.
 */
function rowColumns(lists: readonly (readonly string[])[], { lengths }: RowLengths): string[] {
  const [names] = lists;
  const isNamed = lists.length === 1 && [...lengths].every((length) => length === names!.length);
  if (isNamed) return names!.map((name) => `feature.${name}`);
  return Array.from({ length: Math.max(0, ...lengths) }, (_, k) => `f${k}`);
}

const OUTCOME_COLUMNS = [
  'ordinal',
  'signalId',
  'instrumentId',
  'outcome',
  'source',
  'metaLabel',
  'grossReturn',
  'netReturn',
  'grossR',
  'ambiguous',
  'exitSequence',
  'exitNs',
] as const;

function outcomeTable(stored: State, instrumentId: string | null): ExportTable {
  return { columns: OUTCOME_COLUMNS, rows: rows() };

  function* rows(): Iterable<readonly Cell[]> {
    for (const outcome of stored.outcomes()) {
      if (instrumentId === null || outcome.instrumentId === instrumentId)
        yield OUTCOME_COLUMNS.map((name) => outcome[name]);
    }
  }
}

const VERDICT_COLUMNS = ['serial', 'atNs', 'kind', 'challengerId', 'championId', 'sentence', 'figures'] as const;

function verdictTable(stored: State): ExportTable {
  return { columns: VERDICT_COLUMNS, rows: rows() };

  function* rows(): Iterable<readonly Cell[]> {
    for (const verdict of stored.verdicts()) yield VERDICT_COLUMNS.map((name) => verdict[name]);
  }
}
