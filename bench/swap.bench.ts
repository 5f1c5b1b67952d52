// How many model swaps a second, do readers ever see a torn one, what does the protocol cost a reader, and is a signal lost meanwhile?
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { systemClock } from '../src/clock.js';
import { OrchestratorConfig } from '../src/config.js';
import { ModelFollower } from '../src/inference/model-follower.js';
import { Rehearsal } from '../src/inference/rehearsal.js';
import { ServedModel } from '../src/inference/served-model.js';
import { decodeBundle, encodeBundle, MODEL_BYTES_MAX } from '../src/model/bundle-codec.js';
import { ModelPublisher } from '../src/shared-memory/model-publisher.js';
import { ModelReader } from '../src/shared-memory/model-reader.js';
import { createModelSlots } from '../src/shared-memory/model-slots-layout.js';
import { featureSetOf, trainingPlanOf } from '../src/training/training-plan.js';
import { instrumentNames, knowing, startRig, trainedBundle } from './fixture.js';
import { checkAnswer, higher, lower, median, nowNs, report, SMOKE, told } from './measure.js';
import type { SlotReaderData } from './slot-reader.worker.js';

const PAYLOAD_BYTES = 16 * 1024;
const PUBLISHES = SMOKE ? 2_000 : 100_000;
const FULL_SWAPS = SMOKE ? 5 : 200;
const INSTRUMENTS = 50;
const READS = SMOKE ? 2_000 : 200_000;
const PASSES = SMOKE ? 3 : 15;

const model = await trainedBundle(SMOKE ? 10 : 100);
await publisherAlone();
await fullSwaps();
readerOverhead();

async function publisherAlone(): Promise<void> {
  const publisher = new ModelPublisher(createModelSlots(1, PAYLOAD_BYTES));
  const counts = new Int32Array(new SharedArrayBuffer(16));
  const payload = new Uint8Array(PAYLOAD_BYTES);
  const publish = (generation: number): void => publisher.publish(payload.fill(generation % 251), generation);
  publish(1);
  const data: SlotReaderData = { slots: publisher.shared, readerId: 0, counts };
  const reader = new Worker(new URL('./slot-reader.worker.js', import.meta.url), { workerData: data });
  await once(reader, 'online');
  while (Atomics.load(counts, 1) === 0) await new Promise(setImmediate);
  const start = nowNs();
  for (let generation = 2; generation <= PUBLISHES; generation++) publish(generation);
  const seconds = (nowNs() - start) / 1e9;
  while (Atomics.load(counts, 3) !== PUBLISHES) await new Promise(setImmediate);
  Atomics.store(counts, 0, 1);
  await once(reader, 'exit');
  const [, reads, torn] = counts as unknown as [number, number, number];
  checkAnswer(torn === 0, `${torn} torn reads`);
  report('swap, slots alone', `${PUBLISHES} models of ${PAYLOAD_BYTES} bytes, one reader thread`, 'whole', {
    swaps: higher(PUBLISHES / seconds, '/s', 0.5),
    reads: told(reads, ''),
    'torn reads': told(torn, ''),
  });
}

async function fullSwaps(): Promise<void> {
  const rig = await startRig({ dispatch: 'pool', workers: 1 }, model, INSTRUMENTS);
  const names = instrumentNames(INSTRUMENTS);
  const files = [1, 2].map((seed) => encodeBundle({ ...knowing(model, names), seed }));
  let sent = 0;
  let answered = 0;
  let isOver = false;
  let checksum = 0;
  const expected = rig.orchestrator.processSignalSync(rig.signal(0)).metaConfidence;
  const stream = (async () => {
    while (!isOver) {
      const first = sent;
      sent += INSTRUMENTS;
      const answers = await Promise.all(
        Array.from({ length: INSTRUMENTS }, (_, k) => rig.orchestrator.processSignal(rig.signal(first + k))),
      );
      for (const { degraded } of answers) if (degraded === undefined) answered++;
      checksum = answers[0]!.metaConfidence;
    }
  })();
  const start = nowNs();
  for (let swap = 0; swap < FULL_SWAPS; swap++) await rig.orchestrator.hotSwapModel(files[swap % 2]!);
  const seconds = (nowNs() - start) / 1e9;
  isOver = true;
  await stream;
  checkAnswer(sent === answered, `${sent - answered} of ${sent} signals were not answered by a model`);
  checkAnswer(checksum === expected, 'the models differ in their seed alone');
  await rig.orchestrator.stop();
  report('swap, whole', `validated, staged, rehearsed and switched under load, ${INSTRUMENTS} instruments`, checksum, {
    swaps: higher(FULL_SWAPS / seconds, '/s', 0.5),
    'signals meanwhile': told(sent / seconds, '/s'),
    'signals lost': told(sent - answered, ''),
  });
}

/** Scoring with the follower asked before every row, against the same scorer held in hand. */
function readerOverhead(): void {
  const config = OrchestratorConfig.parse();
  const featureSet = featureSetOf(trainingPlanOf(config));
  const publisher = new ModelPublisher(createModelSlots(1, MODEL_BYTES_MAX));
  const bytes = encodeBundle(model);
  const follower = new ModelFollower(
    new ModelReader(publisher.shared, 0),
    new Rehearsal(config, featureSet, systemClock),
  );
  publisher.publish(bytes, 1);
  while (follower.step());
  const held = new ServedModel(1, decodeBundle(bytes));
  const { goldenRows } = model;
  const columns = featureSet.columnCount;
  const rowCount = goldenRows.length / columns;
  const score = (of: () => ServedModel): { ns: number; checksum: number } => {
    let checksum = 0;
    const start = nowNs();
    for (let k = 0; k < READS; k++) checksum += of().scorer.confidence(goldenRows, (k % rowCount) * columns);
    return { ns: (nowNs() - start) / READS, checksum };
  };
  const ways = { held: () => held, followed: () => follower.current()! };
  const ratios: number[] = [];
  let sum = 0;
  for (let pass = -2; pass < PASSES; pass++) {
    const direct = score(ways.held);
    const followed = score(ways.followed);
    checkAnswer(direct.checksum === followed.checksum, 'both score the same');
    sum = direct.checksum;
    if (pass >= 0) ratios.push(followed.ns / direct.ns);
  }
  report('swap, reader overhead', `${READS} rows, one look at the version per row`, sum, {
    'time with the protocol over time without': lower(median(ratios), 'x', 0.05),
  });
}
