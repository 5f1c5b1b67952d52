import { Writable } from 'node:stream';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runExport } from '../../src/cli/export.js';
import type { Cell } from '../../src/cli/export-tables.js';
import { exportText } from '../../src/cli/export-text.js';
import { describeFalseAlarms } from '../../src/cli/render-alarms.js';
import type { VerdictRecord } from '../../src/state/records.js';
import type { StoredState } from '../../src/state/stored-state.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SEED = 2026;
const COLUMNS = ['a', 'b,"c"', 'd'];
const cell = fc.oneof(
  fc.double(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(-0, Number.MIN_VALUE, Number.MAX_VALUE, 1e21, 1e-7, ' blank ', '"', 'a\r\nb', ',', ''),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }),
  fc.boolean(),
  fc.constant(null),
);
const rows = fc.array(fc.tuple(cell, cell, cell), { maxLength: 20 });

const isNothing = (value: Cell): boolean => value === null || Number.isNaN(value);

test('whatever a cell holds, a CSV reader finds it again: numbers by their bits, text by its characters', () => {
  fc.assert(
    fc.property(rows, (table) => {
      const text = [...exportText({ columns: COLUMNS, rows: table }, 'csv')].join('');
      const [header, ...lines] = parse(text, { relax_column_count: false, skip_empty_lines: false }) as string[][];
      assert.equal(header, COLUMNS);
      assert.is(lines.length, table.length);
      for (const [r, line] of lines.entries()) {
        for (const [k, found] of line.entries()) {
          const value: Cell = table[r]![k]!;
          if (isNothing(value)) assert.is(found, '');
          else if (typeof value === 'number') assert.ok(Object.is(Number(found), value), `${value} as ${found}`);
          else assert.is(found, String(value));
        }
      }
    }),
    { numRuns: PROPERTY_RUNS, seed: SEED, verbose: true },
  );
});

test('a line of NDJSON is one object with the same values, NaN as null and a bigint as its digits', () => {
  fc.assert(
    fc.property(rows, (table) => {
      const text = [...exportText({ columns: COLUMNS, rows: table }, 'ndjson')].join('');
      const lines = text.split('\n').slice(0, -1);
      assert.is(lines.length, table.length);
      for (const [r, line] of lines.entries()) {
        const found = JSON.parse(line) as Record<string, unknown>;
        assert.equal(Object.keys(found), COLUMNS);
        for (const [k, name] of COLUMNS.entries()) {
          const value: Cell = table[r]![k]!;
          const isLost = isNothing(value) || (typeof value === 'number' && !Number.isFinite(value));
          const expected = isLost ? null : typeof value === 'bigint' ? value.toString() : value;
          assert.ok(Object.is(found[name], expected), `${String(value)} as ${line}`);
        }
      }
    }),
    { numRuns: PROPERTY_RUNS, seed: SEED, verbose: true },
  );
});

/** Verdicts without end, and how many were read. */
function endlessVerdicts(): { stored: StoredState<unknown>; read: () => number } {
  let count = 0;
  function* verdicts(): Iterable<VerdictRecord> {
    for (;;) {
      const serial = count++;
      yield { serial, atNs: 1n, kind: 'k', challengerId: '', championId: '', sentence: 'x'.repeat(100), figures: {} };
    }
  }
  return { stored: { verdicts } as unknown as StoredState<unknown>, read: () => count };
}

const OPTIONS = { dataDir: 'D', what: 'verdicts', format: 'csv' } as const;

test('a table without end is written no faster than the reader takes it, and ends quietly when the reader goes', async () => {
  const { stored, read } = endlessVerdicts();
  let lines = 0;
  let ahead = 0;
  let pieces = 0;
  const slow = new Writable({
    highWaterMark: 1,
    decodeStrings: false,
    write: (piece: string, _encoding, done) => {
      setImmediate(() => {
        lines += piece.split('\n').length - 1;
        ahead = Math.max(ahead, read() - lines);
        const closed = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
        done(++pieces === 50 ? closed : null);
      });
    },
  });
  await runExport(stored, OPTIONS, slow);
  assert.is(pieces, 50);
  const linesPerPiece = lines / pieces;
  assert.ok(linesPerPiece > 100, `${linesPerPiece} lines a piece`);
  assert.ok(ahead < 4 * linesPerPiece, `${ahead} lines were read before they were wanted`);
});

test('another fault of the reader is not hidden', async () => {
  const { stored } = endlessVerdicts();
  const full = new Writable({
    write: (_piece, _encoding, done) => done(Object.assign(new Error('full'), { code: 'ENOSPC' })),
  });
  let code = '';
  await runExport(stored, OPTIONS, full).catch((error: NodeJS.ErrnoException) => {
    code = error.code ?? '';
  });
  assert.is(code, 'ENOSPC');
});

test('nothing is written where there is nothing to write, nor where it cannot be', async () => {
  const nothing = { verdicts: () => [] } as unknown as StoredState<unknown>;
  let written = 0;
  const counting = new Writable({
    write: (_piece, _encoding, done) => {
      written++;
      done();
    },
  });
  assert.is((await refusalOf(() => runExport(nothing, OPTIONS, counting))).code, 'NO_ROWS');
  const { stored } = endlessVerdicts();
  assert.is((await refusalOf(() => runExport(stored, { ...OPTIONS, instrument: 'X' }, counting))).code, 'USAGE');
  const refused = await refusalOf(() => runExport(stored, { ...OPTIONS, out: '/no/such/folder/out.csv' }, counting));
  assert.equal([refused.code, refused.field, written], ['USAGE', 'out', 0]);
});

test('false alarms are told by the month', () => {
  const interval = { labels: 19_500, lower: 17_570, upper: 21_743 };
  assert.is(
    describeFalseAlarms({ ...interval, labelsPerDay: 300, perMonth: [9000 / 21_743, 9000 / 17_570] }),
    'one false alarm in 17,600 to 21,700 labels: 0.4 to 0.5 a month at 300 labels a day.',
  );
  assert.match(describeFalseAlarms({ ...interval, labelsPerDay: null, perMonth: null }), /too few are known/);
});

test.run();
