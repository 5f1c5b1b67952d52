import type { ErrorCode } from '../../errors.js';
import type { Rejection } from '../message-bus.js';
import type { EntryId } from './entry-id.js';
import { entryField, type StreamEntry } from './stream-entries.js';

/** What a dead letter says before the fields of the refused entry; '' where there is nothing to say. */
export function deadLetterFields(id: EntryId, { code, field, reason, signalId }: Rejection): string[] {
  return ['entry', id, 'code', code, 'field', field ?? '', 'reason', reason, 'signalId', signalId ?? ''];
}

/** Whether its producer reads the refusal beside the answers too. */
export function hasRejection(letter: StreamEntry): boolean {
  return (entryField(letter, 'reply')?.length ?? 0) > 0;
}

/** A dead letter read again. */
export function rejectionOf(entry: StreamEntry): Rejection {
  const text = (name: string): string => entryField(entry, name)?.toString() ?? '';
  return {
    code: text('code') as ErrorCode,
    field: text('field') || null,
    reason: text('reason'),
    signalId: text('signalId') || null,
    instrumentId: null,
    payload: entryField(entry, 'payload') ?? null,
    repeated: false,
  };
}
