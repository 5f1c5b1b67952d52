import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BREAK_MIN, type BreakStory, tellBreakStory } from '../../src/cli/break-story.js';
import { renderStory } from '../../src/cli/render-story.js';
import { OrchestratorConfig } from '../../src/config.js';
import { silentLogger } from '../support/captured-log.js';

let told: Promise<BreakStory> | undefined;

/** The shortest story there is, with a quick learner. */
function story(): Promise<BreakStory> {
  const config = OrchestratorConfig.parse({
    dispatch: 'inline',
    // Retrains cost the time of this test: only the detectors and the schedule ask for them.
    retrainMinSamples: 100_000,
    retrain: { labelsPerFalseAlarm: 2000 },
    training: { rounds: 5, eta: 0.4 },
  });
  const options = { edge: 1, seed: 1, breakAt: BREAK_MIN, onProgress: () => undefined };
  told ??= tellBreakStory(options, config, silentLogger);
  return told;
}

test('through every retrain and swap each signal is answered and recorded, and none is degraded', async () => {
  const { asked, answered, recorded, degraded, bars, trainedBars } = await story();
  assert.ok(asked > 0.9 * (bars - trainedBars));
  assert.equal([answered, recorded, degraded], [asked, asked, 0]);
});

test('the story has a first verdict, alarms that lead to retrains, and a verdict on each', async () => {
  const { events } = await story();
  const at = (start: string): number[] => events.filter(({ what }) => what.startsWith(start)).map(({ bar }) => bar);
  assert.match(events[0]!.what, /^verdict (provisional|refused): /);
  const triggered = at('retrain triggered: ');
  assert.ok(triggered.length > 0);
  for (const bar of triggered) assert.ok(at('verdict ').includes(bar), `nothing was decided at bar ${bar}`);
  for (let k = 1; k < events.length; k++) assert.ok(events[k]!.bar >= events[k - 1]!.bar);
});

test('the chapters follow each other without a gap, and hold the closed signals', async () => {
  const { chapters, trainedBars, breakAt, reverseAt, bars, asked } = await story();
  assert.equal(
    chapters.map(({ fromBar, toBar }) => [fromBar, toBar]),
    [
      [trainedBars, breakAt],
      [breakAt, reverseAt],
      [reverseAt, bars],
    ],
  );
  const closed = chapters.reduce((sum, { signals }) => sum + signals, 0);
  assert.ok(closed <= asked && closed >= asked - 11, `${closed} of ${asked}`);
});

test('a person reads what happened at which bar, what it was worth, and that nothing was lost', async () => {
  const text = renderStory(await story());
  assert.match(text, /bar +2,400 {2}verdict /);
  assert.match(text, /bar +4,000 {2}--- the edge is gone ---/);
  assert.match(text, /^ *edge reversed +6,000 to 8,400 /m);
  assert.match(text, /, 0 degraded, 0 lost\.$/);
});

test.run();
