import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../src/bus/open-dialect.js';
import { OrchestratorConfig } from '../../src/config.js';
import type { ErrorCode } from '../../src/errors.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from '../support/captured-log.js';
import { HOSTILE_FAMILIES, hostileMessages } from '../support/hostile-messages.js';
import { seededRandom } from '../support/market.js';
import { remembered, stopAll } from '../support/opened.js';
import { refusalOf } from '../support/refusal.js';

const dialect = openDialect(OrchestratorConfig.parse());

test.after(stopAll);

async function refused(orchestrator: ML4TOrchestrator, payload: Buffer): Promise<ErrorCode> {
  const decoded = dialect.decode({ payload });
  if (decoded.kind === 'invalid') return decoded.error.code;
  if (decoded.kind !== 'input') throw new Error(`a hostile message is ${decoded.kind}`);
  const { input } = decoded;
  const take = (): unknown =>
    input.kind === 'bar' ? orchestrator.addBar(input.instrumentId, input.bar) : orchestrator.processSignal(input.event);
  return (await refusalOf(take)).code;
}

test('every family of hostile messages is refused with a code, by the dialect or by the orchestrator', async () => {
  const orchestrator = remembered(new ML4TOrchestrator({ dispatch: 'inline' }, { logger: silentLogger }));
  await orchestrator.start();
  for (const [family, make] of Object.entries(HOSTILE_FAMILIES)) {
    const random = seededRandom(7);
    for (let i = 0; i < 30; i++) {
      const payload = make(random);
      try {
        assert.match(await refused(orchestrator, payload), /^[A-Z_]+$/);
      } catch (error) {
        throw new Error(`${family}: ${payload.subarray(0, 200)}`, { cause: error });
      }
    }
  }
});

test('the same seed gives the same messages, and another seed others', () => {
  const all = (seed: number): string => Buffer.concat([...hostileMessages(200, seed)]).toString('base64');
  assert.is(all(1), all(1));
  assert.is.not(all(1), all(2));
});

test.run();
