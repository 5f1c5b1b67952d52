import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { decodeBundle } from '../../src/model/bundle-codec.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { seededUniform } from '../../src/random.js';
import { openStateReader } from '../../src/state/state-store.js';
import { silentLogger } from './captured-log.js';
import { CRASH_INSTRUMENTS, crashConfig, crashEvents } from './crash-input.js';
import { play, resumeIndex } from './crash-player.js';

/**
 * A process to be killed: goes on with the input where what is stored ends, and says in lines on stdout what has happened, `recorded <id>` once an answer's promise has resolved.
 * `node crash-child.js --dataDir D --models M --minutes N --pace seed`
 */
const { values } = parseArgs({
  options: {
    dataDir: { type: 'string', default: '' },
    models: { type: 'string', default: '' },
    minutes: { type: 'string', default: '' },
    pace: { type: 'string', default: '' },
  },
});
const { dataDir, models } = values;
// Straight to the descriptor: what was said before the kill has arrived.
const say = (line: string): void => void writeSync(1, `${line}\n`);

const bundles = readdirSync(models)
  .sort()
  .map((name) => decodeBundle(readFileSync(join(models, name))));
const events = crashEvents(Number(values.minutes));
const pace = seededUniform(Number(values.pace));
say('starting');
const orchestrator = new ML4TOrchestrator(crashConfig(dataDir), { logger: silentLogger });
await orchestrator.start();
say(`started ${orchestrator.restored!.championId}`);
const reader = openStateReader(dataDir);
const stored = new Map(reader.stored.instruments().map(({ instrumentId, newest }) => [instrumentId, newest + 1]));
await reader.close();
for (const event of events.slice(
  resumeIndex(
    events,
    CRASH_INSTRUMENTS.map((name) => stored.get(name) ?? 0),
  ),
)) {
  const answer = await play(orchestrator, event, bundles);
  if (event.kind === 'install' || event.kind === 'rollback') say(`serves ${orchestrator.model!.modelId}`);
  const draw = pace();
  if (answer !== null && draw < 0.7) {
    const told = answer.recorded.then(() => say(`recorded ${answer.signalId}`));
    if (draw < 0.15) await told;
  }
  if (draw > 0.8) await nextTurn();
}
say('stopping');
await orchestrator.stop();
say('done');
