import type { Cell, ExportTable } from './export-tables.js';
import { toJson } from './render.js';

export const EXPORT_FORMATS = ['csv', 'ndjson'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Text is handed on in pieces of about this many characters. */
const PIECE_LENGTH = 65_536;

/** The table as text, in pieces: a header row and lines as in RFC 4180 but for their ends, a line feed; or one JSON object a line. Numbers read back as the same bits; NaN is empty, or null. */
export function* exportText({ columns, rows }: ExportTable, format: ExportFormat): Generator<string, void, undefined> {
  const line = format === 'csv' ? csvLine : jsonLiner(columns);
  let piece = format === 'csv' ? csvLine(columns) : '';
  for (const row of rows) {
    piece += line(row);
    if (piece.length < PIECE_LENGTH) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(',')}\n`;
}

function csvCell(cell: Cell): string {
  if (cell === null || Number.isNaN(cell)) return '';
  if (typeof cell === 'number') return numberText(cell);
  const text = typeof cell === 'object' ? toJson(cell) : String(cell);
  // Readers that trim would take the blanks of an unquoted cell.
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function jsonLiner(columns: readonly string[]): (cells: readonly Cell[]) => string {
  const keys = columns.map((name) => JSON.stringify(name));
  return (cells) => `{${cells.map((cell, k) => `${keys[k]}:${jsonValue(cell)}`).join(',')}}\n`;
}

/** As everywhere here, a bigint is its digits as text: parsers of JSON would round it. */
function jsonValue(cell: Cell): string {
  return typeof cell === 'number' && Number.isFinite(cell) ? numberText(cell) : toJson(cell);
}

/** The shortest decimal that reads back as the same number; a negative zero keeps its sign. */
function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}
