import type { Histogram } from 'hdr-histogram-js';
import type { EnrichedSignalEvent } from '../src/market/events.js';
import { seededUniform } from '../src/random.js';
import type { Rig } from './fixture.js';
import { checkAnswer, latencyHistogram, nowNs } from './measure.js';

interface LoadResult {
  /** From the instant a signal was due to its answer. */
  readonly latency: Histogram;
  readonly answered: number;
  readonly checksum: number;
}

/** A share of a checksum: a whole number, so that the sum does not depend on the order of the answers. Refuses an answer that no model gave. */
export function share({ metaConfidence, degraded, modelAvailable }: EnrichedSignalEvent): number {
  checkAnswer(degraded === undefined && modelAvailable, `an answer was ${degraded ?? 'made without a model'}`);
  return shareOf(metaConfidence);
}

export function shareOf(confidence: number): number {
  return Math.round(confidence * 2 ** 32);
}

/** How a load asks for an answer. */
export type Call = (rig: Rig, k: number) => Promise<EnrichedSignalEvent>;

const callQueued: Call = (rig, k) => rig.orchestrator.processSignal(rig.signal(k));
/** Synchronously: what a load costs without any data plane. */
export const callNow: Call = async (rig, k) => rig.orchestrator.processSignalSync(rig.signal(k));

/**
 * Sends signals at Poisson instants, whatever became of those before, and takes the time of each from the instant it was due: a system that stalls is not spared the
 * signals it would have got (no coordinated omission). The sender shares main's event loop, as a strategy in the same process does.
 */
export function poissonLoad(
  rig: Rig,
  perSecond: number,
  count: number,
  seed: number,
  call: Call = callQueued,
): Promise<LoadResult> {
  const random = seededUniform(seed);
  const latency = latencyHistogram();
  let checksum = 0;
  let sent = 0;
  let answered = 0;
  let dueNs = nowNs();
  return new Promise((resolve, reject) => {
    const receive = async (due: number, k: number): Promise<void> => {
      const answer = await call(rig, k);
      latency.recordValue(Math.max(1, nowNs() - due));
      checksum += share(answer);
      if (++answered === count) resolve({ latency, answered, checksum });
    };
    const turn = (): void => {
      const now = nowNs();
      for (; sent < count && dueNs <= now; sent++) {
        receive(dueNs, sent).catch(reject);
        dueNs += (-Math.log(1 - random()) * 1e9) / perSecond;
      }
      if (sent < count) setImmediate(turn);
    };
    turn();
  });
}

/** One signal after the other. */
export async function oneInFlight(rig: Rig, count: number): Promise<LoadResult> {
  const latency = latencyHistogram();
  let checksum = 0;
  for (let k = 0; k < count; k++) {
    const start = nowNs();
    const answer = await rig.orchestrator.processSignal(rig.signal(k));
    latency.recordValue(nowNs() - start);
    checksum += share(answer);
  }
  return { latency, answered: count, checksum };
}

/** The floor: the same signals by synchronous calls. */
export function synchronous(rig: Rig, count: number): LoadResult {
  const latency = latencyHistogram();
  let checksum = 0;
  for (let k = 0; k < count; k++) {
    const start = nowNs();
    const answer = rig.orchestrator.processSignalSync(rig.signal(k));
    latency.recordValue(nowNs() - start);
    checksum += share(answer);
  }
  return { latency, answered: count, checksum };
}
