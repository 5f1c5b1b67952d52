import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TopicStreams } from '../../../src/bus/redis/topic-streams.js';
import { NS_PER_MS } from '../../../src/clock.js';
import { ManualClock } from '../../support/manual-clock.js';

const BARS = 'trader-T-1:stream:data.bars.X.SIM-1-MINUTE-LAST-EXTERNAL';
const SIGNALS = 'trader-T-1:stream:data.PrimarySignal';

function opened(
  configured: readonly string[],
  gathered: ReadonlyMap<string, string> = new Map(),
): { streams: TopicStreams; clock: ManualClock } {
  const clock = new ManualClock();
  const signalTopics = ['data.PrimarySignal', 'data.PrimarySignal*'];
  return { streams: new TopicStreams({ configured, signalTopics, clock }, gathered), clock };
}

test('keys that are named are read at once from where they were left, and nothing is looked for', () => {
  const { streams } = opened(['a', 'b'], new Map([['b', '7-0']]));
  assert.equal(
    [...streams.places],
    [
      ['a', '0-0'],
      ['b', '7-0'],
    ],
  );
  assert.is(streams.dueMs, Number.POSITIVE_INFINITY);
  assert.not(streams.isNews('a', 'X'), 'there is nothing to look for');
});

test('with the bars of a trader its signals are waited for, as far as a pattern takes them', () => {
  for (const pattern of ['trader-T-1:*', 'trader-T-1:stream:data.*']) {
    const { streams } = opened([pattern]);
    streams.found([BARS]);
    assert.equal([...streams.places.keys()], [BARS, SIGNALS, `${SIGNALS}*`]);
    assert.ok(streams.isNews(SIGNALS, null), 'its first entry');
    assert.not(streams.isNews(SIGNALS, null));
    assert.not(streams.isNews(BARS, null), 'what was found was not waited for');
  }
  for (const pattern of ['trader-T-1:stream:data.bars.*', 'trader-?-1:*']) {
    const { streams } = opened([pattern]);
    streams.found([BARS]);
    assert.equal([...streams.places.keys()], [BARS]);
  }
});

test('it is looked at once, soon after something was found, and ever more seldom while nothing is', () => {
  const { streams, clock } = opened(['*']);
  assert.is(streams.dueMs, 0);
  const pauses = (names: string[]): number => {
    streams.found(names);
    const pauseMs = streams.dueMs;
    clock.advanceNs(pauseMs * NS_PER_MS);
    return pauseMs;
  };
  assert.equal([['a'], ['a'], ['a'], ['a', 'b'], ['b']].map(pauses), [10, 20, 40, 10, 20]);
  for (let k = 0; k < 20; k++) pauses([]);
  assert.is(pauses([]), 5000);
});

test('the first signal of an instrument is news, of so many instruments that memory and looks are bounded', () => {
  const { streams } = opened(['*']);
  let news = 0;
  for (let round = 0; round < 2; round++) {
    for (let k = 0; k < 10_000; k++) if (streams.isNews('s', `I${k}`)) news++;
  }
  assert.is(news, 4096);
});

test('what the bus writes itself is never read', () => {
  const { streams } = opened(['*', 'ml4t:{0}:in']);
  streams.found(['ml4t:{0}:out', 'ml4t:{1}:in']);
  assert.is(streams.places.size, 0);
});

test.run();
