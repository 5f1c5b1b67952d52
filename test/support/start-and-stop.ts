import { setImmediate as nextTurn } from 'node:timers/promises';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from './captured-log.js';
import { COMMON_CONFIG, signalAt, storeBars } from './reference-answers.js';

const TURNS_MAX = 10_000;

/** A program that starts two workers, has signals answered, stops, and prints what still keeps it alive. It must then end by itself. */
const orchestrator = new ML4TOrchestrator({ ...COMMON_CONFIG, dispatch: 'pool', workers: 2 }, { logger: silentLogger });
await orchestrator.start();
storeBars(orchestrator);
const answers = await Promise.all(
  Array.from({ length: 100 }, (_, k) => orchestrator.processSignal(signalAt(k % 8, 150 + k))),
);
await orchestrator.stop();
const inUse = (): string[] =>
  process.getActiveResourcesInfo().filter((name) => /MessagePort|Worker|Timeout|Immediate/.test(name));
// Ports that were closed are gone some turns of the event loop later.
for (let turn = 0; turn < TURNS_MAX && inUse().length > 0; turn++) await nextTurn();
console.log(JSON.stringify({ answers: answers.length, inUse: inUse() }));
