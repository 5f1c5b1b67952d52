import type { BusMetrics } from '../bus/message-bus.js';
import type { OrchestratorConfig } from '../config.js';
import type { RoundedTimeCounts } from '../market/rounded-times.js';
import { describeLookAhead, type LookAheadFigures } from '../validation/look-ahead.js';
import { count, describeRounded, fixed } from './render.js';
import { printable, renderTotals } from './render-bus.js';

const MS_PER_S = 1000;

type RedisConfig = OrchestratorConfig['redis'];

/** What a serving process tells on stdout, a line each. */
export type ServeEvent =
  | { readonly event: 'trained'; readonly sentence: string }
  | { readonly event: 'notTrained'; readonly reason: string }
  | ({
      readonly event: 'serving';
      /** Without credentials. */
      readonly server: string;
      /** null: every answer is the default confidence. */
      readonly model: { readonly modelId: string; readonly kind: string; readonly evidence: string } | null;
      readonly defaultConfidence: number;
      /** null: nothing outlives the process but what Redis keeps. */
      readonly dataDir: string | null;
    } & Pick<RedisConfig, 'partition' | 'mode' | 'dialect'>)
  | { readonly event: 'busUp' }
  | { readonly event: 'busDown'; readonly code: string; readonly reason: string }
  | { readonly event: 'busGap'; readonly missing: number | null; readonly reason: string }
  | { readonly event: 'refused'; readonly count: number; readonly code: string; readonly field: string | null }
  | { readonly event: 'ignored'; readonly className: string; readonly topic: string; readonly setting: string }
  | { readonly event: 'heartbeatsStopped'; readonly intervalMs: number }
  | { readonly event: 'heartbeatsResumed'; readonly silentMs: number }
  | { readonly event: 'lookAheadSuspected'; readonly figures: LookAheadFigures }
  | { readonly event: 'retrainTriggered'; readonly reasons: readonly string[] }
  | { readonly event: 'verdict'; readonly verdict: string; readonly sentence: string }
  | { readonly event: 'modelSwapped'; readonly modelId: string; readonly generation: number }
  | { readonly event: 'rolledBack'; readonly from: string; readonly to: string; readonly reason: string }
  | { readonly event: 'stopped'; readonly totals: BusMetrics; readonly roundedTimes: RoundedTimeCounts };

/** The event for a person. */
export function renderServeEvent(event: ServeEvent): string {
  return printable(lineOf(event));
}

function lineOf(event: ServeEvent): string {
  switch (event.event) {
    case 'trained':
      return `trained: ${event.sentence}`;
    case 'notTrained':
      return `not trained: ${event.reason}`;
    case 'serving':
      return servingLine(event);
    case 'busUp':
      return 'bus up: messages come and answers go';
    case 'busDown':
      return event.code === 'STANDBY' ? `standing by: ${event.reason}` : `bus down: ${event.reason} [${event.code}]`;
    case 'busGap':
      return `gap: ${event.reason}`;
    case 'refused': {
      const at = event.field === null ? '' : `, ${event.field}`;
      return `refused ${count(event.count)} ${event.count === 1 ? 'message' : 'messages, the first'} with [${event.code}${at}]`;
    }
    case 'ignored':
      return `ignoring ${event.className} on ${event.topic || 'the input'}: ${event.setting} would take it`;
    case 'heartbeatsStopped':
      return `heartbeats stopped: three are missing, of one every ${seconds(event.intervalMs)}`;
    case 'heartbeatsResumed':
      return `heartbeats again, after ${seconds(event.silentMs)}`;
    case 'lookAheadSuspected':
      return `look-ahead suspected: ${describeLookAhead(event.figures)}`;
    case 'retrainTriggered':
      return `retrain triggered: ${event.reasons.join(', ')}`;
    case 'verdict':
      return `verdict ${event.verdict}: ${event.sentence}`;
    case 'modelSwapped':
      return `model ${event.modelId} serves (generation ${event.generation})`;
    case 'rolledBack':
      return `rolled back from ${event.from} to ${event.to} (${event.reason})`;
    case 'stopped':
      return `stopped after ${renderTotals(event.totals)}${roundedPart(event.roundedTimes)}`;
  }
}

function roundedPart({ bars, signals }: RoundedTimeCounts): string {
  return bars + signals === 0 ? '' : `; ${describeRounded(bars + signals)}`;
}

function seconds(ms: number): string {
  return `${fixed(ms / MS_PER_S, 1)} s`;
}

function servingLine(event: ServeEvent & { readonly event: 'serving' }): string {
  const { server, partition, mode, dialect, model, dataDir, defaultConfidence } = event;
  const served =
    model === null
      ? `no model yet: every answer is the default confidence ${defaultConfidence}`
      : `model ${model.modelId} (${model.kind}, evidence ${model.evidence})`;
  const kept = dataDir === null ? 'nothing is recorded, no --data-dir' : `recorded in ${dataDir}`;
  return `serving ${server}, partition ${partition}, ${mode}, dialect ${dialect}; ${served}; ${kept}`;
}
