import { OrchestratorError } from '../../errors.js';
import type { Frame, WrittenFrame } from '../dialect.js';
import type { EntryId } from './entry-id.js';

/** One entry of a stream. */
export interface StreamEntry {
  readonly id: EntryId;
  /** Names and values in turn. */
  readonly fields: readonly Buffer[];
}

/** The reply of XRANGE, or of XREAD for one stream. */
export function entriesOf(reply: unknown): StreamEntry[] {
  return arrayOf(reply).map((entry) => {
    const [id, fields] = arrayOf(entry);
    return { id: textOf(id), fields: arrayOf(fields) as readonly Buffer[] };
  });
}

/** What XREAD replies, by stream; empty when nothing came in time. */
export function streamsOf(reply: unknown): Map<string, StreamEntry[]> {
  const streams = new Map<string, StreamEntry[]>();
  for (const stream of reply === null ? [] : arrayOf(reply)) {
    const [name, entries] = arrayOf(stream);
    streams.set(textOf(name), entriesOf(entries));
  }
  return streams;
}

export function textOf(reply: unknown): string {
  if (Buffer.isBuffer(reply) || typeof reply === 'string' || typeof reply === 'number') return reply.toString();
  throw unexpected();
}

export function arrayOf(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected();
}

/** Names and values in turn, as XINFO replies. */
export function recordOf(reply: unknown): Map<string, unknown> {
  const flat = arrayOf(reply);
  const record = new Map<string, unknown>();
  for (let i = 0; i + 1 < flat.length; i += 2) record.set(textOf(flat[i]), flat[i + 1]);
  return record;
}

/** By its name, never by its place: other writers have other fields, in another order. The first of a name counts. */
export function entryField({ fields }: StreamEntry, name: string): Buffer | undefined {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    // Names are ASCII: one of another length is another name, and need not be read.
    if (fields[i]!.length === name.length && fields[i]!.toString() === name) return fields[i + 1];
  }
  return undefined;
}

/** null for an entry without a field `payload`. Other fields than those of a frame are passed over. */
export function frameOf(entry: StreamEntry): Frame | null {
  const payload = entryField(entry, 'payload');
  if (payload === undefined) return null;
  const [topic, type, encoding] =
    entry.fields.length === 2 ? [] : ['topic', 'type', 'encoding'].map((name) => entryField(entry, name)?.toString());
  return { payload, topic, type, encoding };
}

/** As {@link frameOf} reads it. Topic and payload first: old readers take them by their places. */
export function frameFields({ topic, payload, type, encoding }: WrittenFrame): (string | Buffer)[] {
  const fields = topic === undefined ? ['payload', payload] : ['topic', topic, 'payload', payload];
  if (type !== undefined) fields.push('type', type);
  if (encoding !== undefined) fields.push('encoding', encoding);
  return fields;
}

function unexpected(): OrchestratorError {
  return new OrchestratorError('BUS_UNAVAILABLE', 'the server replies with something else than a Redis 7 does');
}
