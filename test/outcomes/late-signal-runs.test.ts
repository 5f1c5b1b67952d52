import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lateSignalRun } from '../../bench/tables/late-signal-runs.js';
import { randomWalk } from '../../bench/tables/random-walk.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import { redisTest } from '../support/redis-server.js';

const TRAINED = 1200;
const BARS = TRAINED + 300;
const bars = randomWalk({ bars: BARS, seed: 1 });
const sides = primarySides('momentum', bars);
const plan = { bars, sides, trained: TRAINED, redisUrl: null };
const timely = await lateSignalRun({ ...plan, arrival: 'bar first' });

test('signals that come after their bar see it, and all whose horizon has closed have an outcome', () => {
  assert.is(timely.signals, BARS - TRAINED);
  assert.is(timely.barsOld, 0);
  assert.ok(timely.outcomes > timely.signals - 15, `${timely.outcomes} outcomes`);
  assert.is(timely.censored, 0);
});

test('nothing is learned from signals that come before their bar by calls: no outcome, no alarm, no verdict', async () => {
  const late = await lateSignalRun({ ...plan, arrival: 'signal first' });
  assert.is(late.signals, timely.signals);
  assert.is(late.barsOld, late.signals);
  assert.is(late.outcomes, 0);
  assert.is(late.censored, late.signals);
  assert.equal([late.alarms.size, late.verdicts.size, late.treesServed], [0, 0, 0]);
});

redisTest('signals that are written before their bar into a stream end as those that came after it', async (server) => {
  assert.equal(await lateSignalRun({ ...plan, arrival: 'signal first', redisUrl: server.url }), timely);
});

test.run();
