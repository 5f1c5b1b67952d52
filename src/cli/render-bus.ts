import type { BusMetrics, BusReply, EnrichedMessage, Rejection } from '../bus/message-bus.js';
import { count, fixed, isoTime, toJson } from './render.js';

/** What would move a terminal's cursor, or turn its text around. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Text that somebody else wrote, on one line and without effect on a terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (one) => `\\u{${one.codePointAt(0)!.toString(16)}}`);
}

/** One reply on one line. */
export function renderReply(reply: BusReply): string {
  return printable(reply.kind === 'enriched' ? answerLine(reply.answer) : rejectionLine(reply.rejection));
}

/** As JSON on one line; the bytes of a message that was refused are base64. */
export function replyJson(reply: BusReply): string {
  if (reply.kind === 'enriched') return toJson({ kind: reply.kind, ...reply.answer });
  const { payload, ...rest } = reply.rejection;
  const payloadBase64 = payload === null ? null : Buffer.from(payload).toString('base64');
  return toJson({ kind: reply.kind, ...rest, payloadBase64 });
}

function answerLine(answer: EnrichedMessage): string {
  const { signal, size, sizeReason, modelId, asOfSequence, degraded, repeated } = answer;
  const side = signal === 0 ? 'flat' : signal > 0 ? 'long' : 'short';
  const why = degraded === null ? '' : ` (degraded: ${degraded})`;
  const sized = size === 0 ? `size 0 (${sizeReason})` : `size ${size > 0 ? '+' : ''}${fixed(size, 3)}`;
  const asOf = asOfSequence < 0 ? 'no bar' : `${isoTime(answer.asOfNs)} (bar ${asOfSequence})`;
  return `${isoTime(answer.timestamp)} ${side} ${answer.instrumentId}: P(correct) ${fixed(answer.metaConfidence, 3)}${why}, ${sized}; model ${modelId || 'none'}, as of ${asOf}; signal ${answer.signalId}${again(repeated)}`;
}

function rejectionLine({ code, field, reason, signalId, repeated }: Rejection): string {
  const of = signalId === null ? 'a message' : `signal ${signalId}`;
  return `rejected ${of}: ${reason} [${code}${field === null ? '' : `, ${field}`}]${again(repeated)}`;
}

function again(isRepeated: boolean): string {
  return isRepeated ? ' (repeated)' : '';
}

/** What a bus has done, when it ends. */
export function renderTotals(metrics: BusMetrics): string {
  const of = (name: 'bars' | 'signals' | 'answered' | 'rejected' | 'duplicates' | 'ignored'): string =>
    `${count(metrics[name])} ${name}`;
  const past = metrics.historicalIgnored > 0 ? `, ${count(metrics.historicalIgnored)} historical ignored` : '';
  const missing = metrics.missing > 0 ? `; ${count(metrics.missing)} missing` : '';
  return `${of('bars')}, ${of('signals')}: ${of('answered')}, ${of('rejected')}, ${of('duplicates')}, ${of('ignored')}${past}${missing}`;
}
