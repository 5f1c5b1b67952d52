import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decoded } from '../../src/bus/dialect.js';
import type { BusInput } from '../../src/bus/message-bus.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { OrchestratorConfig } from '../../src/config.js';
import {
  NAUTILUS_VERSIONS,
  type RecordedEntry,
  recordedBusyDays,
  recordedEntries,
} from '../support/recorded-payloads.js';

/** What a node wrote is read by the dialect of either version: the bytes tell. */
const codecs = (['nautilus-v1', 'nautilus-v2'] as const).map((dialect) =>
  openDialect(
    OrchestratorConfig.parse({
      redis: { dialect, barSpec: '1-DAY-LAST', signalInstruments: { momentum: 'SPX.SIM' } },
    }),
  ),
);
const BAR_TOPIC = 'data.bars.SPX.SIM-1-DAY-LAST-EXTERNAL';
const BARS: BusInput[] = [
  bar(947203200000000000n, [1402.109985, 1411.900024, 1392.099976, 1403.449951], 1092300000),
  bar(947289600000000000n, [1403.449951, 1441.469971, 1400.72998, 1441.469971], 1225200000),
];
const HISTORY: BusInput[] = [
  { ...bar(946944000000000000n, [1469.25, 1478, 1438.359985, 1455.219971], 931800000), historical: true },
  { ...bar(947030400000000000n, [1455.219971, 1455.219971, 1397.430054, 1399.420044], 1009000000), historical: true },
];

for (const version of NAUTILUS_VERSIONS) {
  for (const bus of ['json', 'msgpack'] as const) {
    const recorded = recordedEntries().filter((entry) => entry.version === version && entry.bus === bus);
    const on = (topic: string): RecordedEntry[] =>
      recorded.filter((entry) => entry.topic === topic || entry.topic === `${topic}*`);

    test(`bars and signals that a ${version} node wrote in ${bus} are read to the last bit`, () => {
      assert.equal(inputsOf(on(BAR_TOPIC)), BARS);
      assert.equal(inputsOf(on('data.PrimarySignal')), [
        {
          kind: 'signal',
          event: {
            instrumentId: 'SPX.SIM',
            signal: 1,
            timestamp: 947289600000000000n,
            signalId: 'SPX.SIM-947289600000000000',
          },
        },
      ]);
      assert.equal(inputsOf(on('data.SignalMomentum')), [
        { kind: 'signal', event: { instrumentId: 'SPX.SIM', signal: 1, timestamp: 947203200000000000n } },
      ]);
    });

    test(`history that a ${version} node publishes in ${bus} is of the past`, () => {
      const found = inputsOf(on(`historical.${BAR_TOPIC}`));
      // 2.0 gives what was requested to its actors alone.
      assert.equal(found, version === '1.231.0' ? HISTORY : []);
    });

    test(`a ${version} node that writes ${bus} is known to live by its heartbeats, and its other talk is ignored`, () => {
      assert.equal(kindsOf(on('health:heartbeat')), ['heartbeat']);
      const others = recorded.filter(({ topic }) => /^(events|commands|data\.instrument)\b/.test(topic));
      assert.ok(others.length > 0);
      assert.equal([...new Set(kindsOf(others))], ['ignored']);
    });
  }
}

for (const version of NAUTILUS_VERSIONS) {
  for (const bus of ['json', 'msgpack'] as const) {
    const recorded = recordedBusyDays().filter((entry) => entry.version === version && entry.bus === bus);

    test(`of what a ${version} node writes in ${bus} beside its bars, each kind is ignored under the setting that would take it`, () => {
      const settings = new Map<string, string | null>();
      for (const entry of recorded) {
        const decoded = decode(entry);
        if (decoded.kind === 'ignored') settings.set(decoded.what.topic, decoded.what.setting);
      }
      for (const [instrument, reversed] of [
        ['SPX.SIM', 'SIM.SPX'],
        ['BRK.B.SIM', 'SIM.BRK.B'],
        ['BTC-USD.SIM', 'SIM.BTC-USD'],
      ] as const) {
        assert.is(settings.get(`data.quotes.${reversed}`), null);
        assert.is(settings.get(`data.trades.${reversed}`), null);
        assert.is(settings.get(`data.bars.${instrument}-1-DAY-MID-EXTERNAL`), 'redis.barSpec');
        assert.is(settings.get(`data.bars.${instrument}-12-HOUR-LAST-EXTERNAL`), 'redis.barSpec');
        assert.is(settings.get(`data.bars.${instrument}-2-TICK-LAST-INTERNAL`), 'redis.barSpec');
        assert.is(settings.get(`data.bars.${instrument}-1-DAY-LAST-INTERNAL`), 'redis.barSource');
        assert.is(settings.has(`data.bars.${instrument}-1-DAY-LAST-EXTERNAL`), false);
      }
    });

    test(`a bar that a ${version} node revises has no mark in ${bus}, only other values at the same close`, () => {
      const bars = inputsOf(recorded.filter(({ topic }) => topic === BAR_TOPIC));
      const [, first, again, revised, back, next] = bars as Extract<BusInput, { kind: 'bar' }>[];
      assert.equal([again, back], [first, first]);
      assert.equal(Object.keys(revised!), Object.keys(first!));
      assert.is(revised!.bar.tsEventNs, first!.bar.tsEventNs);
      assert.is(revised!.bar.close, first!.bar.low);
      assert.is.not(revised!.bar.close, first!.bar.close);
      assert.ok(next!.bar.tsEventNs > first!.bar.tsEventNs);
    });
  }
}

function inputsOf(entries: readonly RecordedEntry[]): BusInput[] {
  return entries.map((entry) => {
    const decoded = decode(entry);
    if (decoded.kind !== 'input') throw new Error(`${entry.topic} is ${decoded.kind}`);
    return decoded.input;
  });
}

function kindsOf(entries: readonly RecordedEntry[]): string[] {
  return entries.map((entry) => decode(entry).kind);
}

function decode(entry: RecordedEntry): Decoded {
  const [first, second] = codecs.map((codec) => codec.decode(entry));
  assert.equal(first, second);
  return first!;
}

function bar(tsEventNs: bigint, prices: readonly number[], volume: number): Extract<BusInput, { kind: 'bar' }> {
  const [open, high, low, close] = prices as [number, number, number, number];
  return { kind: 'bar', instrumentId: 'SPX.SIM', bar: { tsEventNs, open, high, low, close, volume } };
}

test.run();
