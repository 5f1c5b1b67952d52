import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RefusalNotice, type Refusals } from '../../src/bus/refusal-notice.js';
import { OrchestratorError } from '../../src/errors.js';

const faulty = (field: string): OrchestratorError => new OrchestratorError('NOT_A_NUMBER', 'x', { field });

function noticed(): { notice: RefusalNotice; told: Refusals[]; pass: () => void } {
  const told: Refusals[] = [];
  const calls = new Set<() => void>();
  const notice = new RefusalNotice(
    (refusals) => told.push(refusals),
    (_ms, call) => {
      calls.add(call);
      return () => calls.delete(call);
    },
  );
  const pass = (): void => {
    for (const call of [...calls]) {
      calls.delete(call);
      call();
    }
  };
  return { notice, told, pass };
}

test('the first refusal is told at once, a flood behind it in one notice when time has passed', () => {
  const { notice, told, pass } = noticed();
  notice.add(faulty('open'));
  assert.equal(told, [{ count: 1, code: 'NOT_A_NUMBER', field: 'open' }]);
  for (let k = 0; k < 10_000; k++) notice.add(faulty(`high${k}`));
  assert.is(told.length, 1);
  pass();
  assert.equal(told[1], { count: 10_000, code: 'NOT_A_NUMBER', field: 'high0' });
  pass();
  notice.add(new OrchestratorError('STOPPED', 'x'));
  assert.equal(told.slice(2), [{ count: 1, code: 'STOPPED', field: null }], 'quiet since: at once');
});

test('what is left at the end is told, and nothing afterwards', () => {
  const { notice, told, pass } = noticed();
  for (const field of ['a', 'b', 'c']) notice.add(faulty(field));
  notice.end();
  pass();
  assert.equal(
    told.map(({ count, field }) => [count, field]),
    [
      [1, 'a'],
      [2, 'b'],
    ],
  );
});

test.run();
