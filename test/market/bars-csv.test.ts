import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import {
  type BarsCsvOptions,
  type BarsFile,
  loadBarsCsv,
  medianGapNs,
  readBarsCsv,
} from '../../src/market/bars-csv.js';
import { parseTimestampNs } from '../../src/market/timestamp.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SEED = 20_240_103;
const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
/** 2024-01-02T03:04:00Z */
const INSTANT = 1_704_164_640n * SECOND;

const test = suite('bar files');
let directory = '';
test.before(() => {
  directory = mkdtempSync(join(tmpdir(), 'bars-csv-'));
});
test.after(() => rmSync(directory, { recursive: true }));

function write(content: string | Buffer, name = 'bars.csv'): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function load(content: string, options: BarsCsvOptions = { timestampIs: 'close' }): Promise<BarsFile> {
  return loadBarsCsv(write(content), options);
}

async function errorOf(act: Promise<unknown>): Promise<OrchestratorError> {
  try {
    await act;
  } catch (error) {
    if (error instanceof OrchestratorError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Fails unless the file is refused with this code and a message that holds every part. */
async function assertRefused(content: string, code: string, ...parts: readonly string[]): Promise<void> {
  const error = await errorOf(load(content));
  assert.is(error.code, code, error.message);
  for (const part of parts) assert.ok(error.message.includes(part), `"${error.message}" does not say "${part}"`);
}

const HEADER = 'timestamp,open,high,low,close,volume\n';
const ROWS = ['60,1,3,0.5,2,10', '120,2,4,1.5,3,20', '180,3,5,2.5,4,30'];
const fileWith = (third: string, after = ''): string => `${HEADER}${ROWS[0]}\n${ROWS[1]}\n${third}\n${after}`;

test('a plain file reads back every value, stamped as it says', async () => {
  const { bars, ignoredColumns, timestampIs } = await load(`${HEADER}${ROWS.join('\n')}\n`);
  assert.is(timestampIs, 'close');
  assert.equal(ignoredColumns, []);
  assert.equal(
    [0, 1, 2].map((i) => bars.at(i)),
    [
      { tsEventNs: MINUTE, open: 1, high: 3, low: 0.5, close: 2, volume: 10 },
      { tsEventNs: 2n * MINUTE, open: 2, high: 4, low: 1.5, close: 3, volume: 20 },
      { tsEventNs: 3n * MINUTE, open: 3, high: 5, low: 2.5, close: 4, volume: 30 },
    ],
  );
});

test('columns are found by name, in any case and any order', async () => {
  for (const name of ['timestamp', 'Date', 'TIME', 'ts_event', 'Timestamp_UTC']) {
    const { bars } = await load(`Close,VOLUME,${name},hIGH,Low,OPEN\n2,10,60,3,0.5,1\n`);
    const expected = { tsEventNs: MINUTE, open: 1, high: 3, low: 0.5, close: 2, volume: 10 };
    assert.equal(bars.at(0), expected, name);
  }
});

test('extra columns are ignored and listed under their own names', async () => {
  const { bars, ignoredColumns } = await load(
    'timestamp,Symbol,open,high,low,close,vwap,volume\n60,X,1,3,0.5,2,n/a,10\n',
  );
  assert.equal(ignoredColumns, ['Symbol', 'vwap']);
  assert.is(bars.at(0).volume, 10);
  assert.is(bars.at(0).open, 1);
});

test('a file without volume has unknown volume, not zero', async () => {
  const { bars, ignoredColumns } = await load('timestamp,open,high,low,close\n60,1,3,0.5,2\n120,2,4,1.5,3\n');
  assert.equal([...bars.volume], [Number.NaN, Number.NaN]);
  assert.equal(ignoredColumns, []);
});

test('a stamp within 1 ms before a whole second is that second at either edge, and is counted', async () => {
  const [, ...values] = ROWS.map((row) => row.split(',').slice(1).join(','));
  const early = `${HEADER}1970-01-01T00:00:59.999,${values[0]}\n1970-01-01T00:01:59.999999,${values[1]}\n`;
  const file = await load(early);
  assert.equal([...file.bars.tsEventNs], [MINUTE, 2n * MINUTE]);
  assert.is(file.roundedCount, 2);
  const open = await load(`${HEADER}1970-01-01T00:00:59.999,${values[0]}\n120,${values[1]}\n`, {
    timestampIs: 'open',
  });
  assert.equal([...open.bars.tsEventNs], [2n * MINUTE, 3n * MINUTE]);
  assert.is(open.roundedCount, 1);
});

test('two rows that stand for one second are refused with the second one’s line', () =>
  assertRefused(fileWith('1970-01-01T00:01:59.999,3,5,2.5,4,30'), 'TIME_NOT_INCREASING', 'line 4'));

test('every accepted timestamp means the same instant', () => {
  const forms = [
    '2024-01-02T03:04:00Z',
    '2024-01-02T03:04:00z',
    '2024-01-02 03:04:00',
    '2024-01-02T03:04',
    '2024-01-02 03:04Z',
    '  2024-01-02 03:04:00.0  ',
    '2024-01-02 03:04:00.000000000 +00:00',
    '2024-01-02T05:04:00+02:00',
    '2024-01-02T05:04:00+0200',
    '2024-01-01 21:34:00-05:30',
    '1704164640',
    '1704164640000',
    '1704164640000000',
    '1704164640000000000',
  ];
  for (const form of forms) assert.is(parseTimestampNs(form), INSTANT, form);
  assert.is(parseTimestampNs('2024-01-02'), INSTANT - (3n * 60n + 4n) * MINUTE);
});

test('fractions of a second count to the nanosecond', () => {
  assert.is(parseTimestampNs('2024-01-02T03:04:00.123456789Z'), INSTANT + 123_456_789n);
  assert.is(parseTimestampNs('2024-01-02T03:04:00.5'), INSTANT + 500_000_000n);
  assert.is(parseTimestampNs('2024-01-02 03:04:00.000001+00:00'), INSTANT + 1000n);
  assert.is(parseTimestampNs('1969-12-31T23:59:59.999999999Z'), -1n);
});

test('integers change their unit at 1e11, 1e14 and 1e17', () => {
  assert.is(parseTimestampNs('100000000000'), 100_000_000n * SECOND);
  assert.is(parseTimestampNs('100000000000000'), 100_000_000n * SECOND);
  assert.is(parseTimestampNs('100000000000000000'), 100_000_000n * SECOND);
  assert.is(parseTimestampNs('0'), 0n);
  assert.is(parseTimestampNs('-60'), -MINUTE);
});

test('text that names no instant is no timestamp', () => {
  const texts = [
    '',
    'yesterday',
    '2024-02-30',
    '2023-02-29T00:00:00Z',
    '2024-13-01',
    '2024-01-02T24:00:00Z',
    '2024-01-02T03:60:00Z',
    '2024-01-02T03:04:60Z',
    '2024-01-02T03:04:00.1234567891Z',
    '02/01/2024',
    '2024-1-2',
    '1704164640.5',
    '1e9',
    '99999999999999999999',
    '9223372036854775808',
  ];
  for (const text of texts) assert.is(parseTimestampNs(text), null, text);
});

test('a year before 100 is not moved into the twentieth century', () => {
  const parsed = parseTimestampNs('0050-01-01T00:00:00Z');
  assert.ok(parsed === null || parsed < parseTimestampNs('1900-01-01T00:00:00Z')!, `${parsed}`);
});

test('an instant that does not fit into 64 bits of nanoseconds is no timestamp, instead of wrapping round', () => {
  for (const text of ['2300-01-01T00:00:00Z', '9999-12-31', '1500-01-01', '99999999999', '99999999999999']) {
    assert.is(parseTimestampNs(text), null, text);
  }
});

test('a zone that no place on earth has is no timestamp', () => {
  for (const text of ['2024-01-02T03:04:00+24:00', '2024-01-02T03:04:00+05:60', '2024-01-02T03:04:00-99:99'])
    assert.is(parseTimestampNs(text), null, text);
});

test('any instant written in ISO and in any zone reads back the same', () => {
  const instant = fc.tuple(
    fc.date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true }),
    fc.integer({ min: 0, max: 999_999 }),
    fc.integer({ min: -14 * 60, max: 14 * 60 }),
    fc.constantFrom('T', ' '),
  );
  const property = fc.property(instant, ([date, belowMs, zoneMinutes, separator]) => {
    const local = new Date(date.getTime() + zoneMinutes * 60_000).toISOString().slice(0, -1).replace('T', separator);
    const two = (value: number): string => String(value).padStart(2, '0');
    const minutes = Math.abs(zoneMinutes);
    const zone = `${zoneMinutes < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
    const text = `${local}${String(belowMs).padStart(6, '0')}${zone}`;
    assert.is(parseTimestampNs(text), BigInt(date.getTime()) * 1_000_000n + BigInt(belowMs), text);
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('a file stamped at the open is shifted by its median gap to the close', async () => {
  // Gaps of 1, 1 and 5 minutes: a hole in the data does not change the interval.
  const { bars, intervalNs, timestampIs } = await load(
    `${HEADER}0,1,3,0.5,2,1\n60,1,3,0.5,2,1\n120,1,3,0.5,2,1\n420,1,3,0.5,2,1\n`,
    {},
  );
  assert.is(timestampIs, 'open');
  assert.is(intervalNs, MINUTE);
  assert.equal([...bars.tsEventNs], [MINUTE, 2n * MINUTE, 3n * MINUTE, 8n * MINUTE]);
});

test('a stated interval is added instead of the median gap, even to a single row', async () => {
  const { bars, intervalNs } = await load(`${HEADER}${ROWS[0]}\n`, { timestampIs: 'open', intervalNs: 7n });
  assert.is(intervalNs, 7n);
  assert.equal([...bars.tsEventNs], [MINUTE + 7n]);
});

test('a file stamped at the close is not shifted and needs no interval', async () => {
  const { bars, intervalNs } = await load(`${HEADER}${ROWS[0]}\n`, { timestampIs: 'close' });
  assert.equal([...bars.tsEventNs], [MINUTE]);
  assert.is(intervalNs, 0n);
});

test('one open-stamped row without an interval is refused', async () => {
  const error = await errorOf(load(`${HEADER}${ROWS[0]}\n`, { timestampIs: 'open' }));
  assert.is(error.code, 'INTERVAL_UNKNOWN');
  assert.is(error.field, 'intervalNs');
});

test('the median gap of an even number of gaps is the lower middle one', () => {
  assert.is(medianGapNs(BigInt64Array.of(0n, 1n, 11n)), 1n);
  assert.is(medianGapNs(BigInt64Array.of(0n, 30n, 31n, 41n)), 10n);
  assert.is(medianGapNs(BigInt64Array.of(5n)), 0n);
});

test('a gzipped file reads as the plain one does', async () => {
  const content = `${HEADER}${ROWS.join('\n')}\n`;
  const plain = await readBarsCsv(write(content));
  const zipped = await readBarsCsv(write(gzipSync(content), 'bars.csv.gz'));
  assert.equal(zipped, plain);
  assert.is(zipped.length, 3);
});

test('line ends of either kind, a byte-order mark, blank lines and a last line without an end change nothing', async () => {
  const plain = await load(`${HEADER}${ROWS.join('\n')}\n`);
  const variants = [
    `${HEADER}${ROWS.join('\n')}\n`.replaceAll('\n', '\r\n'),
    `\uFEFF${HEADER}${ROWS.join('\n')}\n`,
    `\uFEFF${HEADER.replace('timestamp', '"timestamp"')}${ROWS.join('\n')}\n`,
    `${HEADER}${ROWS.join('\n')}`,
    `${HEADER}\n${ROWS.join('\n\n')}\n\n`,
    `"timestamp" , open, high ,low,close,volume\n${ROWS.join('\n').replaceAll(',', ' , ')}\n`,
  ];
  for (const variant of variants) assert.equal(await load(variant), plain, JSON.stringify(variant));
});

test('numbers keep every digit they are written with', async () => {
  const { bars } = await load(`${HEADER}60,+1.5,0.2e1,.1,1.,1E3\n`);
  assert.equal(bars.at(0), { tsEventNs: MINUTE, open: 1.5, high: 2, low: 0.1, close: 1, volume: 1000 });
  const precise = await load(`${HEADER}60,46319.12345678901,46319.12345678901,46319.12345678901,46319.12345678901,0\n`);
  assert.is(precise.bars.at(0).close, 46319.12345678901);
});

test('a missing time or price column is refused by its name', async () => {
  await assertRefused('when,open,high,low,close\n60,1,3,0.5,2\n', 'MISSING_COLUMN', 'line 1', 'timestamp');
  for (const name of ['open', 'high', 'low', 'close']) {
    await assertRefused(`${HEADER.replace(name, 'x')}${ROWS[0]}\n`, 'MISSING_COLUMN', 'line 1', `column ${name}`);
  }
});

test('a cell that is no decimal number is refused with its line, column and text', async () => {
  for (const cell of ['abc', '', 'NaN', 'Infinity', '0x10', '1_000', '1;5', '--1']) {
    await assertRefused(fileWith(`180,3,5,${cell},4,30`), 'NOT_A_NUMBER', 'line 4', 'column low', `"${cell}"`);
    await assertRefused(fileWith(`180,3,5,2.5,4,${cell}`), 'NOT_A_NUMBER', 'line 4', 'column volume', `"${cell}"`);
  }
});

test('a number too large to hold is refused, not read as infinite', async () => {
  await assertRefused(fileWith('180,3,1e400,2.5,4,30'), 'NOT_A_NUMBER', 'line 4', 'column high');
  await assertRefused(fileWith('180,3,5,2.5,4,1e400'), 'NOT_A_NUMBER', 'line 4', 'column volume');
});

test('a bar whose high or low does not embrace its prices is refused with its line and column', async () => {
  await assertRefused(fileWith('180,3,3.5,2.5,4,30'), 'INCONSISTENT_BAR', 'line 4', 'column high');
  await assertRefused(fileWith('180,3,5,3.5,4,30'), 'INCONSISTENT_BAR', 'line 4', 'column low');
});

test('a price of zero or below and a negative volume are refused with their line and column', async () => {
  await assertRefused(fileWith('180,0,5,2.5,4,30'), 'PRICE_NOT_POSITIVE', 'line 4', 'column open');
  await assertRefused(fileWith('180,3,5,-2.5,4,30'), 'PRICE_NOT_POSITIVE', 'line 4', 'column low');
  await assertRefused(fileWith('180,3,5,2.5,4,-1'), 'NEGATIVE_VOLUME', 'line 4', 'column volume');
});

test('time that stands still or turns back is refused with its line and column', async () => {
  await assertRefused(fileWith('120,3,5,2.5,4,30'), 'TIME_NOT_INCREASING', 'line 4', 'column timestamp');
  await assertRefused(fileWith('90,3,5,2.5,4,30'), 'TIME_NOT_INCREASING', 'line 4', 'column timestamp');
});

test('a cell that is no timestamp is refused with its line, column and text', async () => {
  await assertRefused(fileWith('noon,3,5,2.5,4,30'), 'BAD_TIMESTAMP', 'line 4', 'column timestamp', '"noon"');
});

test('the line named is the one an editor shows, whatever the line ends and blank lines before it', async () => {
  const bad = '240,3,5,2.5,4,-1';
  await assertRefused(`${HEADER}${ROWS.join('\n')}\n${bad}`, 'NEGATIVE_VOLUME', 'line 5');
  await assertRefused(`${HEADER}${ROWS.join('\n')}\n${bad}\n\n`, 'NEGATIVE_VOLUME', 'line 5');
  await assertRefused(`${HEADER}\n${ROWS.join('\n\n')}\n${bad}\n`, 'NEGATIVE_VOLUME', 'line 8');
  const windows = `${HEADER}${ROWS.join('\n')}\n${bad}\n`.replaceAll('\n', '\r\n');
  await assertRefused(windows, 'NEGATIVE_VOLUME', 'line 5');
});

test('a file without rows is refused, with a header or without', async () => {
  for (const content of ['', '\n\n', HEADER, HEADER.trim()]) await assertRefused(content, 'NO_ROWS');
});

test('a row of another width and a quote that never closes are malformed, with the line named', async () => {
  await assertRefused(fileWith('180,3,5,2.5'), 'CSV_MALFORMED', 'line 4');
  await assertRefused(fileWith('180,3,5,2.5,4,30,99'), 'CSV_MALFORMED', 'line 4');
  await assertRefused(fileWith('180,3,5,2.5,4,"30'), 'CSV_MALFORMED');
});

test('a file that cannot be read or unzipped is refused with its path', async () => {
  for (const path of [join(directory, 'absent.csv'), directory, write('no gzip', 'broken.csv.gz')]) {
    const error = await errorOf(loadBarsCsv(path));
    assert.is(error.code, 'FILE_UNREADABLE', error.message);
    assert.ok(error.message.includes(path));
  }
  const cut = gzipSync(`${HEADER}${ROWS.join('\n')}\n`).subarray(0, 40);
  assert.is((await errorOf(loadBarsCsv(write(cut, 'cut.csv.gz')))).code, 'FILE_UNREADABLE');
});

test('the instrument is named in a refusal when it is given', async () => {
  const error = await errorOf(load(fileWith('180,3,5,2.5,4,-1'), { instrumentId: 'BTC-PERP' }));
  assert.match(error.message, 'BTC-PERP');
});

test('any bars written to a file and read again are the same to the bit', async () => {
  const row = fc.tuple(
    fc.double({ min: 1e-9, max: 1e9, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1e15, noNaN: true }),
  );
  const property = fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 20 }), async (rows) => {
    const bars = rows.map(([high, lowShare, closeShare, volume], i) => {
      const low = Math.max(high * lowShare, 1e-12);
      const close = Math.min(Math.max(low + (high - low) * closeShare, low), high);
      return { tsEventNs: INSTANT + BigInt(i), open: low, high, low, close, volume };
    });
    const lines = bars.map((bar) => [bar.tsEventNs, bar.open, bar.high, bar.low, bar.close, bar.volume].join(','));
    const { bars: read } = await load(HEADER + lines.join('\n'));
    assert.equal(
      bars.map((_, i) => read.at(i)),
      bars,
    );
  });
  await fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test.run();
