export { InProcessBus } from './bus/in-process-bus.js';
export type {
  BusClient,
  BusEvents,
  BusInput,
  BusMetrics,
  BusReply,
  BusTarget,
  MessageBus,
} from './bus/message-bus.js';
export { type Clock, systemClock } from './clock.js';
export { ConfigError, OrchestratorConfig, type OrchestratorConfigInput } from './config.js';
export { type ErrorCode, OrchestratorError } from './errors.js';
export { HISTORY_BARS_MIN } from './features/feature-columns.js';
export { extractFeatures, FEATURE_NAMES, featureMatrix } from './features/feature-row.js';
export { FeatureSet } from './features/feature-set.js';
export type { AnswerTotals } from './inference/answer-counts.js';
export type { DispatchMetrics } from './inference/data-plane.js';
export { InferenceLoop } from './inference/inference-loop.js';
export { InferenceResult } from './inference/inference-result.js';
export type { WorkerMetrics } from './inference/inference-worker.js';
export {
  OUTCOMES,
  type TripleBarrierLabels,
  type TripleBarrierOptions,
  tripleBarrierLabels,
} from './labeling/triple-barrier.js';
export { averageUniqueness } from './labeling/uniqueness.js';
export type { RestoredState, RolledBack } from './loop/loop-events.js';
export { averageTrueRange } from './market/atr.js';
export { type Bar, type BarColumns, BarSeries } from './market/bar.js';
export { type BarsCsvOptions, type BarsFile, loadBarsCsv, readBarsCsv } from './market/bars-csv.js';
export type {
  DegradedReason,
  EnrichedSignalEvent,
  MetaOutput,
  OutcomeEvent,
  RetrainReason,
  RetrainTrigger,
  SignalEvent,
  SignalOutcome,
} from './market/events.js';
export type { RoundedTimeCounts } from './market/rounded-times.js';
export { type BundleMetrics, BundleScorer, type ModelBundle } from './model/bundle.js';
export { decodeBundle, encodeBundle } from './model/bundle-codec.js';
export { ModelPersistence } from './model/persistence.js';
export { ML4TOrchestrator, type OrchestratorDependencies } from './orchestrator.js';
export type { OrchestratorEvents } from './orchestrator-events.js';
export { type ToxicityLevel, VpinIndicator, type VpinOptions } from './orderflow/vpin.js';
export type { SuppliedOutcome } from './outcomes/outcome-event.js';
export { PRIMARY_SIGNALS, type PrimarySignalName, primarySides } from './primary/primary-signal.js';
export {
  type Alignment,
  alignmentOf,
  alignSides,
  type BarStamps,
  type SideSchedule,
  type SignalsAt,
  type TimedSide,
} from './primary/side-schedule.js';
export type { FirstModelFinding } from './retrain/first-model.js';
export type { FirstModelVerdict, IncumbentKind } from './retrain/first-verdict.js';
export {
  type LabelledPrediction,
  type MonitoredChampion,
  RetrainMonitor,
  type RetrainMonitorOptions,
  type RetrainMonitorState,
  type RetrainMonitorStatus,
} from './retrain/retrain-monitor.js';
export { RollbackEvidence, type RollbackEvidenceState, type Stake } from './retrain/rollback-evidence.js';
export {
  type GateEvidence,
  type GateFigures,
  type GateReason,
  type GateVerdict,
  judgeChallenger,
} from './retrain/strict-gate.js';
export { type TestBudget, TestTokens, type TestTokensState } from './retrain/test-tokens.js';
export type { StrictVerdict, Verdict } from './retrain/verdict.js';
export { breakEvenConfidence, type EdgeModel } from './sizing/edge.js';
export {
  IntegratedSizer,
  type IntegratedSizerOptions,
  type SizingInput,
  type SizingResult,
} from './sizing/integrated-sizer.js';
export {
  type AlphaOutput,
  type Portfolio,
  type RiskDecision,
  type RiskLimits,
  RiskStage,
} from './sizing/risk-stage.js';
export type { ModelRecord } from './state/records.js';
export type { StateMetrics } from './state/state-store.js';
export type { TrainingProgress } from './training/train-model.js';
export { TrainingLoop, type TrainOptions } from './training/training-loop.js';
export type { TrainingReport } from './training/training-report.js';
export { TrainingResult } from './training/training-result.js';
export type { TrainingSeries } from './training/training-series.js';
export type { LabelCounts } from './training/training-set.js';
export type { LookAheadFigures } from './validation/look-ahead.js';
export { accuracy, brierScore, logLoss, rocAuc } from './validation/metrics.js';
export { purgedWalkForward } from './validation/walk-forward.js';
