import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LOOK_AHEAD_WINDOW } from '../../src/loop/look-ahead-watch.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import type { LookAheadFigures } from '../../src/validation/look-ahead.js';
import { capturedLog, type LogLine } from '../support/captured-log.js';
import { randomBars } from '../support/market.js';
import { plantedSeries } from '../support/planted.js';
import { feed, openRecorded, temporaryDirectory, tidyUp } from '../support/recorded-runs.js';
import { refusalOf } from '../support/refusal.js';

test.after.each(tidyUp);

const HISTORY = 120;
const BARS = randomBars(HISTORY + LOOK_AHEAD_WINDOW + 1200, 9);

interface Found {
  readonly told: LookAheadFigures[];
  readonly lines: LogLine[];
  readonly figures: LookAheadFigures | null;
}

/** A life in which after each bar a side comes: the sign of that bar's body, or of the one `ahead` bars later. */
async function live(count: number, ahead: (bar: number) => number): Promise<Found> {
  const { logger, lines } = capturedLog();
  const system = new ML4TOrchestrator({ dispatch: 'inline' }, { logger });
  const told: LookAheadFigures[] = [];
  system.events.on('lookAheadSuspected', (figures) => told.push(figures));
  await system.start();
  assert.is(system.lookAhead, null);
  for (let bar = 0; bar < HISTORY + count; bar++) {
    system.addBar('X', BARS.at(bar));
    if (bar < HISTORY) continue;
    const known = bar + ahead(bar);
    const signal = Math.sign(BARS.close[known]! - BARS.open[known]!) as -1 | 0 | 1;
    system.processSignalSync({ instrumentId: 'X', signal, timestamp: BARS.tsEventNs[bar]!, signalId: `s${bar}` });
  }
  const { lookAhead } = system;
  await system.stop();
  return { told, lines: lines.filter(({ code }) => code === 'LOOK_AHEAD_SUSPECTED'), figures: lookAhead };
}

test('live sides that know the bar after their decision are told once, by an event and a line in the log', async () => {
  const { told, lines, figures } = await live(1000, () => 1);
  assert.is(told.length, 1);
  assert.is(lines.length, 1);
  assert.match(lines[0]!.msg, /know the bar that their outcomes begin with/);
  assert.is(told[0]!.signals, 100, 'with the first look');
  assert.is(told[0]!.firstShare > 0.95, true);
  assert.ok(figures?.isSuspected);
});

test('it is told again when a window later it is still so', async () => {
  const { told, lines } = await live(LOOK_AHEAD_WINDOW + 200, () => 1);
  assert.equal([told.length, lines.length], [2, 2]);
});

test('honest sides are watched and not told of', async () => {
  const { told, lines, figures } = await live(1000, () => 0);
  assert.equal([told.length, lines.length], [0, 0]);
  assert.not(figures?.isSuspected);
  assert.ok(figures!.seenShare > 0.95);
});

test('a retrain on recorded sides that know their first bar is refused, and no model comes of it', async () => {
  const honest = plantedSeries(1400, 8, 0.5);
  const { open, close } = honest.bars;
  const early = honest.sides.map((side, bar) => side && Math.sign((close[bar + 1] ?? 0) - (open[bar + 1] ?? 0)));
  const { system } = await openRecorded(await temporaryDirectory());
  await feed(system, { ...honest, sides: early }, 0, early.length);
  assert.ok(system.lookAhead?.isSuspected);
  const { code } = await refusalOf(() => system.retrain());
  assert.is(code, 'LOOK_AHEAD_SUSPECTED');
  assert.is(system.models.length, 0);
});

test('what was wrong is forgotten a window after it was mended', async () => {
  const { figures } = await live(LOOK_AHEAD_WINDOW + 1000, (bar) => (bar < HISTORY + 900 ? 1 : 0));
  assert.not(figures?.isSuspected);
});

test.run();
