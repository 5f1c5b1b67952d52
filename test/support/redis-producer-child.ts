import { existsSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { openDialect } from '../../src/bus/open-dialect.js';
import { StreamClient } from '../../src/bus/redis/stream-client.js';
import { OrchestratorConfig } from '../../src/config.js';
import { OrchestratorError } from '../../src/errors.js';
import { seededUniform } from '../../src/random.js';
import { drillMessages, WARM_MESSAGES } from './redis-drill-input.js';

/**
 * A strategy to be killed: sends the drill's messages in order, some at once, again what it does not know to be sent, and after a kill from the last that a file says were sent.
 * `node redis-producer-child.js URL COUNT SEED FILE`; each line on stdin says how many messages may have been sent.
 */
const [url, count, seed, file] = process.argv.slice(2) as [string, string, string, string];
const RETRY_MS = 20;
const TOGETHER_MAX = 8;
const PACE_MS = 5;

const say = (line: string): void => void writeSync(1, `${line}\n`);
const config = OrchestratorConfig.parse({ redis: { url } });
const client = new StreamClient(config.redis, openDialect(config));
const messages = drillMessages(Number(count), Number(seed));
const random = seededUniform(Number(seed) + 1);
let allowed = 0;
let more: () => void = () => undefined;
createInterface({ input: process.stdin })
  .on('line', (line) => {
    allowed = Number(line);
    more();
  })
  .on('close', () => process.exit(1));

let sent = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
say(`resumes ${sent}`);
while (sent < messages.length) {
  while (sent >= allowed) {
    await new Promise<void>((resolve) => {
      more = resolve;
    });
  }
  const some = messages.slice(sent, sent + 1 + Math.floor(TOGETHER_MAX * random()));
  const results = await Promise.allSettled(some.map(({ input }) => client.send(input)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) {
    sent += some.length;
    writeFileSync(`${file}.new`, String(sent));
    renameSync(`${file}.new`, file);
    say(`sent ${sent}`);
    if (sent >= WARM_MESSAGES) await pause(PACE_MS);
  } else {
    if (!(failed.reason instanceof OrchestratorError)) throw failed.reason;
    say(`refused ${failed.reason.message}`);
    await pause(RETRY_MS);
  }
}
say('done');
process.exit(0);
