import { Worker } from 'node:worker_threads';
import { type Remote, releaseProxy, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { Piscina } from 'piscina';
import { OrchestratorConfig } from '../src/config.js';
import type { ModelBundle } from '../src/model/bundle.js';
import { encodeBundle } from '../src/model/bundle-codec.js';
import { FeatureStoreWriter } from '../src/shared-memory/feature-store-writer.js';
import { barsOf, HISTORY_BARS, instrumentNames, knowing } from './fixture.js';
import type { PeerData, PeerRequest, PeerService } from './peers.worker.js';

const WORKER_URL = new URL('./peers.worker.js', import.meta.url);

/** One call per signal into a worker, the common way. */
export interface Peer {
  evaluate(request: PeerRequest): Promise<number>;
  close(): Promise<void>;
}

export function peerRequest(k: number, instrumentCount: number): PeerRequest {
  return { instrument: k % instrumentCount, asOf: HISTORY_BARS - 1, side: k % 2 === 0 ? 1 : -1 };
}

/** `piscina.run` per signal on one thread. */
export function piscinaPeer(model: ModelBundle, instrumentCount: number): Peer {
  const pool = new Piscina({
    filename: WORKER_URL.href,
    minThreads: 1,
    maxThreads: 1,
    workerData: peerData(model, instrumentCount, false),
  });
  return { evaluate: (request) => pool.run(request) as Promise<number>, close: () => pool.destroy() };
}

/** A comlink call per signal. */
export function comlinkPeer(model: ModelBundle, instrumentCount: number): Peer {
  const worker = new Worker(WORKER_URL, { workerData: peerData(model, instrumentCount, true) });
  const service: Remote<PeerService> = wrap<PeerService>(nodeEndpoint(worker));
  return {
    evaluate: (request) => service.evaluate(request),
    close: async () => {
      service[releaseProxy]();
      await worker.terminate();
    },
  };
}

function peerData(model: ModelBundle, instrumentCount: number, overComlink: boolean): PeerData {
  const config = OrchestratorConfig.parse({ store: { instrumentsMax: instrumentCount } });
  const store = new FeatureStoreWriter({ ...config.store, vpin: config.vpin });
  const names = instrumentNames(instrumentCount);
  for (const [k, name] of names.entries()) {
    for (const bar of barsOf(k)) store.append(name, bar);
  }
  return { store: store.shared, config, model: encodeBundle(knowing(model, names)), overComlink };
}
