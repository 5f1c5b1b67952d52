import type { Clock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import type { RetrainMonitorOptions } from '../retrain/retrain-monitor.js';

/** When a retrain is due, as the configuration says. */
export function monitorOptionsOf(config: OrchestratorConfig, clock: Clock): RetrainMonitorOptions {
  const { retrain } = config;
  return {
    accuracyDropThreshold: config.retrainAccuracyDropThreshold,
    minSamples: config.retrainMinSamples,
    intervalBars: config.retrainIntervalBars,
    intervalMs: retrain.intervalMs,
    sampleCount: retrain.sampleCount,
    cooldownBars: retrain.cooldownBars,
    clock,
  };
}
