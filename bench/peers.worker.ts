import { parentPort, workerData } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { systemClock } from '../src/clock.js';
import { SignalEvaluator } from '../src/inference/evaluator.js';
import type { InferenceThreadData } from '../src/inference/inference-messages.js';
import { ServedModel } from '../src/inference/served-model.js';
import { decodeBundle } from '../src/model/bundle-codec.js';
import { Evaluation } from '../src/shared-memory/evaluation.js';
import { FeatureStoreReader } from '../src/shared-memory/feature-store-reader.js';
import { featureSetOf, trainingPlanOf } from '../src/training/training-plan.js';

/** What the peers' threads are given: the same store, and the model as bytes. */
export type PeerData = Omit<InferenceThreadData, 'models'> & {
  readonly model: Uint8Array;
  readonly overComlink: boolean;
};

export interface PeerRequest {
  readonly instrument: number;
  readonly asOf: number;
  readonly side: -1 | 1;
}

const { store, config, model, overComlink } = workerData as PeerData;
const featureSet = featureSetOf(trainingPlanOf(config));
const evaluator = new SignalEvaluator(config, new FeatureStoreReader(store), featureSet, systemClock);
const served = new ServedModel(1, decodeBundle(model));
const evaluation = new Evaluation(featureSet.columnCount);
const userValues = new Float64Array(featureSet.user.length);

/** The same evaluation as everywhere, handed out the way these libraries are commonly used: one call per signal. */
export default function evaluate(request: PeerRequest): number {
  evaluator.evaluate({ ...request, userValues }, served, evaluation);
  return evaluation.confidence;
}

export interface PeerService {
  evaluate(request: PeerRequest): number;
}

if (overComlink && parentPort !== null) expose({ evaluate } satisfies PeerService, nodeEndpoint(parentPort));
