import type { ErrorCode, OrchestratorError } from '../../errors.js';
import type { Rejection } from '../message-bus.js';
import type { EntryId } from './entry-id.js';
import { entryField, type StreamEntry } from './stream-entries.js';

/** What a dead letter says before the fields of the refused entry; '' where there is nothing to say. */
export function deadLetterFields(id: EntryId, error: OrchestratorError, signalId: string | null): string[] {
  const { code, field, message } = error;
  return ['entry', id, 'code', code, 'field', field ?? '', 'reason', message, 'signalId', signalId ?? ''];
}

/** A dead letter read again. */
export function rejectionOf(entry: StreamEntry): Rejection {
  const text = (name: string): string => entryField(entry, name)?.toString() ?? '';
  return {
    code: text('code') as ErrorCode,
    field: text('field') || null,
    reason: text('reason'),
    signalId: text('signalId') || null,
    payload: entryField(entry, 'payload') ?? null,
  };
}
