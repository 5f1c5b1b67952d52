import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BarSeries, ML4TOrchestrator, readBarsCsv } from '../../src/index.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { FAST_VPIN, fastTrainedBundle, fixtureBars, FIXTURE_INSTRUMENT as X } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { MINUTE_NS } from '../support/market.js';

const HALF_MINUTE_NS = MINUTE_NS / 2n;

/** A file as exchanges write it: every bar under the instant it opened. */
function writeOpenStamped(path: string, bars: BarSeries): void {
  const rows = Array.from({ length: bars.length }, (_, i) => {
    const { tsEventNs, open, high, low, close, volume } = bars.at(i);
    return [tsEventNs - MINUTE_NS, open, high, low, close, volume].join(',');
  });
  writeFileSync(path, ['timestamp,open,high,low,close,volume', ...rows].join('\n'));
}

async function replay(bars: BarSeries, signalsAtNs: readonly bigint[]): Promise<EnrichedSignalEvent[]> {
  const orchestrator = new ML4TOrchestrator({ dispatch: 'inline', vpin: FAST_VPIN }, { logger: silentLogger });
  await orchestrator.start();
  await orchestrator.hotSwapModel(await fastTrainedBundle());
  // The whole day is in the store before the first signal: only the time stamps can keep the future out.
  for (let i = 0; i < bars.length; i++) orchestrator.addBar(X, bars.at(i));
  const answers = signalsAtNs.map((timestamp) =>
    orchestrator.processSignalSync({ instrumentId: X, signal: 1, timestamp }),
  );
  await orchestrator.stop();
  return answers;
}

test('a signal inside an open-stamped bar sees the bar before it and nothing of the one that is still open', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ml4t-open-'));
  const path = join(directory, 'bars.csv');
  const source = fixtureBars(300, 31);
  writeOpenStamped(path, source);
  const bars = await readBarsCsv(path);
  rmSync(directory, { recursive: true });
  assert.equal(bars.tsEventNs, source.tsEventNs, 'the stamps were shifted to the close');

  const inside = Array.from({ length: 150 }, (_, k) => bars.tsEventNs[120 + k]! + HALF_MINUTE_NS);
  const answers = await replay(bars, inside);
  for (const [k, answer] of answers.entries()) {
    assert.is(answer.asOfSequence, 120 + k);
    assert.ok(answer.asOfNs < inside[k]!);
  }

  // Every bar that is open at its signal is replaced by another one: no answer may notice.
  for (const k of [0, 75, 149]) {
    const open = 120 + k + 1;
    const other = BarSeries.from({
      ...source,
      close: source.close.slice(),
      high: source.high.slice(),
      volume: source.volume.slice(),
    });
    other.close[open] = source.close[open]! * 1.5;
    other.high[open] = source.close[open]! * 2;
    other.volume[open] = 1e9;
    const [answer] = await replay(other, [inside[k]!]);
    assert.is(answer!.metaConfidence, answers[k]!.metaConfidence);
    assert.is(answer!.toxicity, answers[k]!.toxicity);
    const [closed] = await replay(other, [source.tsEventNs[open]!]);
    assert.is.not(
      closed!.metaConfidence,
      answers[k]!.metaConfidence,
      'once closed, the other bar does change the answer',
    );
  }
});

test('the same file read as close-stamped would show a signal the bar that is still open: the default is the safe mistake', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ml4t-open-'));
  const path = join(directory, 'bars.csv');
  writeOpenStamped(path, fixtureBars(300, 31));
  const safe = await readBarsCsv(path);
  const careless = await readBarsCsv(path, { timestampIs: 'close' });
  rmSync(directory, { recursive: true });
  const at = [safe.tsEventNs[150]! + HALF_MINUTE_NS];
  assert.is((await replay(safe, at))[0]!.asOfSequence, 150);
  assert.is((await replay(careless, at))[0]!.asOfSequence, 151);
});

test.run();
