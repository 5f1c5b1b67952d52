import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { IgnoredNames } from '../../src/bus/ignored-names.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { OrchestratorConfig } from '../../src/config.js';

const BTC = 'BTC-USD-PERP.HYPERLIQUID';
const BAR_FIELDS =
  '"open":"107250.0","high":"107310.0","low":"107201.0","close":"107288.0","volume":"12.3","ts_event":"1751414400000000000","ts_init":"1751414400123456789"';

function barOf(spec: string): { topic: string; payload: string } {
  const barType = `${BTC}-${spec}`;
  return { topic: `data.bars.${barType}`, payload: `{"type":"Bar","bar_type":"${barType}",${BAR_FIELDS}}` };
}

test('a kind is named once, and of endless kinds only so many', () => {
  const names = new IgnoredNames();
  const kind = (topic: string) => ({ className: 'Bar', topic, setting: null });
  assert.equal([names.isNew(kind('a')), names.isNew(kind('a')), names.isNew(kind('b'))], [true, false, true]);
  const more = Array.from({ length: 10_000 }, (_, k) => names.isNew(kind(`t${k}`)));
  assert.is(more.filter(Boolean).length, 254);
});

for (const redis of [{}, { barSource: 'INTERNAL' }] as const) {
  const { barSource } = OrchestratorConfig.parse({ redis }).redis;
  const other = barSource === 'EXTERNAL' ? 'INTERNAL' : 'EXTERNAL';

  test(`what is ignored names the setting that would take it (${barSource})`, () => {
    const config = OrchestratorConfig.parse({ redis: { ...redis, dialect: 'nautilus-v1' } });
    const { decode, encodeInput } = openDialect(config);
    const settingOf = ({ topic, payload }: { topic?: string; payload: string }): unknown => {
      const decoded = decode({ payload: Buffer.from(payload), ...(topic !== undefined && { topic }) });
      return decoded.kind === 'ignored' ? decoded.what.setting : decoded.kind;
    };
    const alone = ({ payload }: { payload: string }): { payload: string } => ({ payload });
    const [own, minutes, source] = [
      `1-MINUTE-LAST-${barSource}`,
      `5-MINUTE-LAST-${barSource}`,
      `1-MINUTE-LAST-${other}`,
    ];
    for (const form of [(whole: ReturnType<typeof barOf>) => whole, alone]) {
      assert.is(settingOf(form(barOf(own))), 'input');
      assert.is(settingOf(form(barOf(minutes))), 'redis.barSpec');
      assert.is(settingOf(form(barOf(source))), 'redis.barSource');
    }
    assert.is(settingOf({ ...barOf(source), topic: `historical.${barOf(source).topic}` }), 'redis.barSource');
    const mine = `{"type":"MySignal","instrument_id":"${BTC}","side":1,"ts_event":"1","ts_init":"1"}`;
    assert.is(settingOf({ topic: 'data.MySignal*', payload: mine }), 'redis.signalType');
    assert.is(settingOf({ payload: mine }), 'redis.signalType');
    const named =
      '{"type":"SignalMomentum","value":1,"ts_event":"1751414400000000000","ts_init":"1751414400000000000"}';
    assert.is(settingOf({ topic: 'data.SignalMomentum*', payload: named }), 'redis.signalInstruments');
    for (const topic of ['data.quotes.HYPERLIQUID.BTC', 'events.order.S-1', 'data.EnrichedSignal', 'ext.x'])
      assert.is(settingOf({ topic, payload: '{}' }), null, topic);
    const bar = { tsEventNs: 1751414400000000000n, open: 1, high: 1, low: 1, close: 1, volume: 1 };
    assert.is(encodeInput({ kind: 'bar', instrumentId: BTC, bar }).topic, barOf(own).topic);
  });
}

test.run();
