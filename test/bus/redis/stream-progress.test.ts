import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { StreamProgress } from '../../../src/bus/redis/stream-progress.js';
import { inFlightEntry } from '../../support/in-flight-entry.js';

const STREAM = 'ml4t:{0}:in';

function withInFlight(): StreamProgress {
  const progress = new StreamProgress(STREAM, null);
  progress.inFlight.add(inFlightEntry({ id: '9-0', asOf: 4 }));
  progress.inFlight.add({ ...inFlightEntry({ id: '10-0', asOf: null }), reply: () => ['PING'], replyKind: 'rejected' });
  progress.inFlight.add({ ...inFlightEntry({ id: '11-0', asOf: 7 }), isBarMissing: true, readBefore: '11-5' });
  progress.inFlight.add({ ...inFlightEntry({ id: '12-0', asOf: null }), dueNs: 60n, isWaiting: true });
  progress.position = '12-0';
  return progress;
}

test('the next process learns the position, and what the unanswered signals may see', () => {
  const state = withInFlight().toState();
  assert.equal(state, {
    stream: STREAM,
    position: '12-0',
    unanswered: [
      ['9-0', 4, false],
      ['11-0', 7, true, '11-5'],
    ],
    undecided: [['12-0', 60n]],
  });
  const next = new StreamProgress(STREAM, state);
  assert.is(next.position, '12-0');
  assert.equal(next.known('9-0'), { asOf: 4, isBarMissing: false, readBefore: null });
  assert.equal(next.known('11-0'), { asOf: 7, isBarMissing: true, readBefore: '11-5' });
  assert.equal(next.known('12-0'), { dueNs: 60n });
  assert.is(next.known('13-0'), undefined);
  assert.equal(next.toState(), state, 'and tells it again until they are answered');
  next.settle('9-0');
  assert.equal(next.toState().unanswered, [['11-0', 7, true, '11-5']]);
});

test('what another stream had come to says nothing about this one', () => {
  const other = new StreamProgress('ml4t:{1}:in', withInFlight().toState());
  assert.is(other.position, '0-0');
  assert.is(other.known('9-0'), undefined);
});

test('what is no longer pending is forgotten, whoever replied to it, and told of where the reply had left here', () => {
  const progress = withInFlight();
  progress.inFlight.get('10-0')!.wasSent = true;
  const replied = progress.keepOnly(new Set(['11-0']));
  assert.equal(progress.inFlight.ids(), ['11-0']);
  assert.equal(
    replied.map(({ id }) => id),
    ['10-0'],
  );
  const next = new StreamProgress(STREAM, withInFlight().toState());
  next.keepOnly(new Set());
  assert.equal([next.toState().unanswered, next.toState().undecided], [[], []]);
});

test('the oldest entry in flight is the first in the stream, whatever came first', () => {
  const progress = new StreamProgress(STREAM, null);
  assert.is(progress.inFlight.oldest, null);
  for (const id of ['10-0', '9-5', '11-0']) {
    progress.inFlight.add(inFlightEntry({ id, asOf: 0 }));
  }
  assert.is(progress.inFlight.oldest, '9-5');
});

test('who waits for room is told of every entry that goes', async () => {
  const progress = withInFlight();
  const changed = progress.inFlight.change();
  progress.settle('10-0');
  await changed;
  assert.is(progress.inFlight.size, 3);
});

test.run();
