import type { FalseAlarms, FeatureStability } from '../loop/model-standing.js';
import type { ReconcileReport, SignalDifference, UnknownReason } from '../loop/reconcile-report.js';
import type { ModelBundle } from '../model/bundle.js';
import type { ModelRecord, PlainValue, VerdictRecord } from '../state/records.js';
import { isoTime } from './render.js';
import { describeFalseAlarms } from './render-alarms.js';
import { renderBundle } from './render-model.js';
import { textTable } from './text-table.js';

/** What `ml4t models list` shows. */
export function renderModels(models: readonly ModelRecord[], verdicts: readonly VerdictRecord[]): string {
  if (models.length === 0) return 'No model is kept yet.';
  const rows = models.map(({ modelId, role, sinceNs, how, fileName }) => [
    modelId,
    role,
    isoTime(sinceNs),
    how,
    fileName,
  ]);
  const table = textTable([['model', 'role', 'since', 'how', 'file'], ...rows]);
  if (verdicts.length === 0) return `${table}\n\nNo verdict so far.`;
  return `${table}\n\nNewest verdicts:\n${verdicts.map((one) => `  ${describeVerdict(one)}`).join('\n')}`;
}

/** Everything there is to say of one kept model. */
export interface ModelCard {
  readonly record: ModelRecord;
  readonly bundle: ModelBundle;
  /** Verdicts on it, or in which it was the champion; newest first. */
  readonly verdicts: readonly VerdictRecord[];
  readonly falseAlarms: FalseAlarms | null;
  readonly stability: { readonly rows: number; readonly features: readonly FeatureStability[] };
}

/** What `ml4t models show` shows. */
export function renderModelCard({ record, bundle, verdicts, falseAlarms, stability }: ModelCard): string {
  const role = `${'role'.padEnd(14)}${record.role} since ${isoTime(record.sinceNs)} (${record.how})`;
  const history = verdicts.map((one) => `  ${describeVerdict(one)}\n${figureLines(one.figures)}`);
  return [
    `${renderBundle(bundle)}\n${role}`,
    describeDetectors(bundle, falseAlarms),
    verdicts.length === 0 ? 'No verdict concerns it.' : `Verdicts that concern it:\n${history.join('\n')}`,
    describeStability(stability),
  ].join('\n\n');
}

function describeVerdict({ serial, atNs, kind, sentence }: VerdictRecord): string {
  return `${serial} ${isoTime(atNs)} ${kind}: ${sentence}`;
}

function figureLines(figures: VerdictRecord['figures']): string {
  const known = Object.entries(figures).filter(([, value]) => value !== null);
  return known.length === 0
    ? '    no figures'
    : `    ${known.map(([name, value]) => `${name} ${figure(value)}`).join(', ')}`;
}

function figure(value: PlainValue): string {
  if (typeof value === 'number')
    return Number.isInteger(value) ? value.toString() : String(Number(value.toPrecision(4)));
  if (Array.isArray(value)) return `[${value.map(figure).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `(${Object.entries(value)
    .map(([name, inner]) => `${name} ${figure(inner)}`)
    .join(', ')})`;
}

function describeDetectors({ detectors }: ModelBundle, falseAlarms: FalseAlarms | null): string {
  if (detectors === null || falseAlarms === null)
    return 'Detectors: none, there were too few labels to calibrate them.';
  const { skillThreshold, rateThreshold, rateAllowance, labelsPerFalseAlarm } = detectors;
  const skill =
    skillThreshold === null
      ? 'no skill is watched, its confidence never leaves the base rate'
      : `skill loss at ${skillThreshold.toFixed(2)} nats`;
  return [
    `Detectors, dialled to ${whole(labelsPerFalseAlarm)} labels a false alarm: ${skill}; base-rate shift at ${rateThreshold.toFixed(2)} labels on either side, less ${rateAllowance} a label.`,
    `  ${describeFalseAlarms(falseAlarms)}`,
  ].join('\n');
}

function describeStability({ rows, features }: ModelCard['stability']): string {
  if (rows === 0) return 'Feature stability: it has answered no recorded signal.';
  const table = features.map(({ feature, psi }) => [feature, Number.isNaN(psi) ? 'n/a' : psi.toFixed(3)]);
  return [
    `Feature stability of the newest ${whole(rows)} rows it answered against its training rows (shown only: no retrain comes of it):`,
    textTable([['feature', 'PSI'], ...table]),
  ].join('\n');
}

const REASONS: Readonly<Record<UnknownReason, string>> = {
  'model-forgotten': 'the model is no longer kept',
  'model-missing': 'the file of the model is gone',
  'model-damaged': 'the file of the model is damaged',
  'bars-forgotten': 'bars it saw are no longer kept',
  'signal-forgotten': 'the signal is no longer kept',
  'defaults-differ': 'other defaults are configured now (--config)',
};

/** What `ml4t reconcile` shows. */
export function renderReconcile(report: ReconcileReport): string {
  const { signals, equal, degraded, different, differences, unknown } = report;
  const models = Object.keys(report.equalByModel).filter((modelId) => modelId !== '').length;
  const lines = [
    `${whole(signals)} stored answers: ${whole(equal)} equal to the last bit (by ${models} ${models === 1 ? 'model' : 'models'}${'' in report.equalByModel ? ' and without one' : ''}), ${whole(different)} different, ${whole(degraded)} degraded, for which nothing was computed, ${whole(signals - equal - different - degraded)} that cannot be recomputed.`,
    ...unknown.map(
      ({ reason, count, signalId, detail }) => `  ${whole(count)}: ${REASONS[reason]} (${signalId}: ${detail})`,
    ),
    ...differences.map(describeDifference),
  ];
  if (different > differences.length) lines.push(`  … and ${whole(different - differences.length)} more`);
  if (report.onlySizesDiffer)
    lines.push('Only sizes differ: give the configuration of that time, with its sizing and cost, as --config.');
  return lines.join('\n');
}

function describeDifference({ signalId, ordinal, instrumentId, asOf, modelId, fields }: SignalDifference): string {
  const head = `  signal ${signalId} (${ordinal}) on ${instrumentId} as of bar ${asOf}, model ${modelId || 'none'}:`;
  return [head, ...fields.map((one) => `    ${one.field}: stored ${one.stored}, recomputed ${one.recomputed}`)].join(
    '\n',
  );
}

function whole(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 });
}
