import type { MessagePort } from 'node:worker_threads';
import type { OrchestratorConfig } from '../config.js';
import type { SharedFeatureStore } from '../shared-memory/feature-store-layout.js';
import type { SharedModelSlots } from '../shared-memory/model-slots-layout.js';
import type { SharedSignalRing } from '../shared-memory/signal-ring-layout.js';

/** What every inference thread is given when it starts. */
export interface InferenceThreadData {
  readonly store: SharedFeatureStore;
  readonly models: SharedModelSlots;
  readonly config: OrchestratorConfig;
}

/** The one task of an inference thread: to serve this ring until it is stopped. */
export interface InferenceTask {
  readonly ring: SharedSignalRing;
  readonly readerId: number;
  readonly bell: MessagePort;
}

/** What a worker tells main: it serves from now on, it has got ready for the staged model, there are answers. */
export type WorkerMessage = 'serving' | 'prepared' | 'bell';
