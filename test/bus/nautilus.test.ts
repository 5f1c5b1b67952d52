import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decoded, Frame } from '../../src/bus/dialect.js';
import type { EnrichedMessage, Rejection } from '../../src/bus/message-bus.js';
import { parseNautilusBarType } from '../../src/bus/nautilus-bar-type.js';
import { concernOf, title } from '../../src/bus/nautilus-topics.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { readPayload } from '../../src/bus/payload.js';
import { OrchestratorConfig } from '../../src/config.js';

const BTC = 'BTC-USD-PERP.HYPERLIQUID';
const signalInstruments = { momentum: BTC };
const configOf = (dialect: 'nautilus-v1' | 'nautilus-v2', encoding: 'json' | 'msgpack' = 'json'): OrchestratorConfig =>
  OrchestratorConfig.parse({ redis: { dialect, encoding, signalInstruments } });
const codecs = [openDialect(configOf('nautilus-v1')), openDialect(configOf('nautilus-v2'))];

function decode(payload: string | Buffer, frame: Omit<Frame, 'payload'> = {}): Decoded {
  const [first, second] = codecs.map((codec) => codec.decode({ ...frame, payload: Buffer.from(payload) }));
  // Both dialects read both versions.
  assert.equal(first, second);
  return first!;
}

const BAR = `{"type":"Bar","bar_type":"${BTC}-1-MINUTE-LAST-EXTERNAL","open":"107250.0","high":"107310.0","low":"107201.0","close":"107288.0","volume":"12.34567","ts_event":"1751414400000000000","ts_init":"1751414400123456789"}`;
const BAR_INPUT = {
  kind: 'bar',
  instrumentId: BTC,
  bar: { tsEventNs: 1751414400000000000n, open: 107250, high: 107310, low: 107201, close: 107288, volume: 12.34567 },
};
const numbered = (text: string): string => text.replace(/"(\d{19})"/g, '$1');
const momentum = (signal: number): object => ({
  kind: 'signal',
  event: { instrumentId: BTC, signal, timestamp: 1751414400000000000n },
});
const v2Signal = (value: string): string =>
  `{"data_type":{"metadata":{},"type_name":"SignalMomentum"},"payload":{"name":"momentum","ts_event":1751414400000000000,"ts_init":1751414400123456789,"value":${value}},"type":"Signal"}`;

test('bars of the configured kind are read in either version, other kinds are ignored', () => {
  const topic = `data.bars.${BTC}-1-MINUTE-LAST-EXTERNAL`;
  for (const payload of [BAR, numbered(BAR), BAR.replace('1751414400000000000', '2025-07-02T00:00:00Z')]) {
    assert.equal(decode(payload, { topic }), { kind: 'input', input: BAR_INPUT, place: null });
  }
  assert.is(decode(BAR.replace('1-MINUTE', '5-MINUTE')).kind, 'ignored');
  assert.is(decode(BAR.replace('EXTERNAL', 'INTERNAL')).kind, 'ignored');
  assert.is(decode('{', { topic: topic.replace('1-MINUTE', '5-MINUTE') }).kind, 'ignored');
  assert.is(decode('{', { topic }).kind, 'invalid');
});

test('signals are the sign of their value, for the instrument that is configured', () => {
  const flat =
    '{"type":"SignalMomentum","value":0.73,"ts_event":"1751414400000000000","ts_init":"1751414400123456789"}';
  assert.equal(decode(flat, { topic: 'data.SignalMomentum*' }), { kind: 'input', input: momentum(1), place: null });
  for (const [value, side] of [
    ['"0.73"', 1],
    ['"-1"', -1],
    ['"True"', 1],
    ['"False"', 0],
    ['"1.0"', 1],
    ['-3', -1],
    ['9007199254740993000', 1],
  ] as const) {
    assert.equal(decode(v2Signal(value), { topic: 'data.SignalMomentum', type: 'Signal' }), {
      kind: 'input',
      input: momentum(side),
      place: null,
    });
  }
  for (const value of ['null', '"nan"', '"inf"', '"up"']) assert.is(decode(v2Signal(value)).kind, 'invalid', value);
  assert.is(decode(flat.replace('Momentum', 'Other')).kind, 'ignored');
});

test('the MessagePack of a signal is read, whatever its frame says of the encoding', () => {
  const digits = (text: string): string => `b3${Buffer.from(text).toString('hex')}`;
  const bytes = Buffer.from(
    `84a474797065ae5369676e616c4d6f6d656e74756da576616c7565cb3fe75c28f5c28f5ca874735f6576656e74${digits('1751414400000000000')}a774735f696e6974${digits('1751414400123456789')}`,
    'hex',
  );
  assert.equal(decode(bytes, { topic: 'data.SignalMomentum*', encoding: 'Json' }), {
    kind: 'input',
    input: momentum(1),
    place: null,
  });
  const init = Buffer.from('81a774735f696e6974cf184e461e15dccd15', 'hex');
  assert.equal(readPayload(init, 1024), { ts_init: 1751414400123456789n });
});

test('custom data tells its side by number or by word', () => {
  const datum = (fields: string): string =>
    `{"instrument_id":"${BTC}",${fields},"type":"PrimarySignal","ts_event":"1751414400000000000","ts_init":"1751414400123456789"}`;
  for (const [fields, side] of [
    ['"side":-1', -1],
    ['"direction":"LONG"', 1],
    ['"direction":"sell"', -1],
    ['"direction":"FLAT"', 0],
  ] as const) {
    assert.equal(decode(datum(fields), { topic: 'data.PrimarySignal*' }), {
      kind: 'input',
      input: momentum(side),
      place: null,
    });
  }
  const refused = decode(datum('"side":2,"signal_id":"a"'));
  assert.equal(refused.kind === 'invalid' && [refused.error.code, refused.claim?.signalId], ['INVALID_SIGNAL', 'a']);
  const envelope = `{"data_type":{"metadata":{},"type_name":"PrimarySignal"},"payload":${datum('"side":1,"signal_id":""')},"type":"PrimarySignal"}`;
  assert.equal(decode(numbered(envelope)), { kind: 'input', input: momentum(1), place: null });
});

test('everything else that a node publishes is ignored', () => {
  const quote = `{"type":"QuoteTick","instrument_id":"${BTC}","bid_price":"107287.0","ask_price":"107288.0","bid_size":"1.20000","ask_size":"0.80000","ts_event":"1751414400000000000","ts_init":"1751414400123456789"}`;
  const trade = `{"type":"TradeTick","instrument_id":"${BTC}","price":"107288.0","size":"0.01000","aggressor_side":"BUYER","trade_id":"987654321","ts_event":"1751414400000000000","ts_init":"1751414400123456789"}`;
  const enriched = `{"instrument_id":"${BTC}","direction":"LONG","score":0.73,"type":"EnrichedSignal","ts_event":"1751414400000000000","ts_init":"1751414400123456789"}`;
  const envelope = `{"data_type":{"metadata":{},"type_name":"EnrichedSignal"},"payload":${numbered(enriched)},"type":"EnrichedSignal"}`;
  for (const payload of [quote, trade, enriched, envelope].flatMap((text) => [text, numbered(text)]))
    assert.is(decode(payload).kind, 'ignored', payload);
  for (const topic of [
    'data.quotes.HYPERLIQUID.BTC',
    'events.order.S-1',
    'historical.data.bars.X',
    'data.pipeline.bars',
    'ext.momentum',
    '',
  ]) {
    assert.is(decode('not even JSON', { topic }).kind, 'ignored', topic);
  }
  for (const encoding of ['Capnp', 'Sbe']) assert.is(decode(BAR, { encoding }).kind, 'ignored');
  assert.is(
    decode('2026-07-02T10:15:30.123456789+00:00', { topic: 'health:heartbeat', encoding: 'Json' }).kind,
    'heartbeat',
  );
});

test('of what is published again of the past bars are taken, as such, and nothing is refused', () => {
  const bars = `data.bars.${BTC}-1-MINUTE-LAST-EXTERNAL`;
  const taken = { kind: 'input', input: { ...BAR_INPUT, historical: true }, place: null };
  for (const payload of [BAR, numbered(BAR)]) {
    assert.equal(decode(payload, { topic: `historical.${bars}` }), taken);
    assert.equal(decode(payload, { topic: `data.pipeline.${bars}`, type: 'Bar' }), taken);
    assert.equal(decode(payload, { topic: `data.pipeline.${bars.slice('data.'.length)}` }), taken);
    assert.is(decode(payload, { topic: `historical.${bars.replace('1-MINUTE', '5-MINUTE')}` }).kind, 'ignored');
  }
  const broken = BAR.replace('"high"', '"no"');
  assert.is(decode(broken, { topic: bars }).kind, 'invalid');
  assert.is(decode(broken, { topic: `historical.${bars}` }).kind, 'ignored');
  const signal = `{"type":"PrimarySignal","instrument_id":"${BTC}","side":1,"ts_event":"1751414400000000000","ts_init":"1751414400000000000"}`;
  assert.is(decode(signal, { topic: 'historical.data.PrimarySignal*' }).kind, 'ignored');
  assert.is(decode(signal, { topic: 'data.pipeline.PrimarySignal' }).kind, 'ignored');
  for (const [k, codec] of codecs.entries()) {
    const { payload, ...frame } = codec.encodeInput({ ...BAR_INPUT, kind: 'bar', historical: true });
    assert.equal(codec.decode({ ...frame, payload: Buffer.from(payload) }), taken, `v${k + 1}`);
  }
});

test('a bar type is read from the right, and a step of time divides the next unit', () => {
  assert.equal(parseNautilusBarType('ES.FUT.GLBX-1-hour-last-external'), {
    instrumentId: 'ES.FUT.GLBX',
    spec: '1-HOUR-LAST',
    source: 'EXTERNAL',
  });
  assert.equal(parseNautilusBarType(`${BTC}-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL`), {
    instrumentId: BTC,
    spec: '5-MINUTE-LAST',
    source: 'INTERNAL',
  });
  assert.is(
    parseNautilusBarType('xyz:TSLA-USD-PERP.HYPERLIQUID-100-TICK-MID-EXTERNAL')?.instrumentId,
    'xyz:TSLA-USD-PERP.HYPERLIQUID',
  );
  for (const wrong of [
    '',
    BTC,
    `${BTC}-60-MINUTE-LAST-EXTERNAL`,
    `${BTC}-7-MINUTE-LAST-EXTERNAL`,
    `${BTC}-0-TICK-LAST-EXTERNAL`,
    'X-1-MINUTE-LAST-EXTERNAL',
    `${BTC}-1-MINUTE-LAST-OTHER`,
    `${BTC}-1-MINUTE-LAST-EXTERNAL@x`,
    `${BTC}-1-EON-LAST-EXTERNAL`,
    `${'a-'.repeat(1e6)}`,
  ]) {
    assert.is(parseNautilusBarType(wrong), null, wrong.slice(0, 60));
  }
});

test('names of signals are written as Python titles them', () => {
  for (const [name, titled] of [
    ['rsi14', 'Rsi14'],
    ['price_prop', 'Price_Prop'],
    ['buySignal', 'Buysignal'],
    ['14x', '14X'],
  ] as const)
    assert.is(title(name), titled);
  const settings = OrchestratorConfig.parse().redis;
  assert.is(concernOf('data.PrimarySignal.k=v', settings).kind, 'input');
  assert.equal(concernOf('data.PrimarySignals', settings), { kind: 'none', setting: 'redis.signalType' });
});

const ANSWER: EnrichedMessage = {
  signalId: 's-1',
  instrumentId: BTC,
  signal: 1,
  timestamp: 1751414400000000000n,
  metaConfidence: 0.73,
  regimeWeight: 0.5,
  toxicity: 0.25,
  size: 0.1,
  sizeReason: null,
  modelAvailable: true,
  toxicityAvailable: true,
  regimeAvailable: false,
  asOfNs: 0n,
  asOfSequence: -1,
  generation: 0,
  modelId: '',
  latencyNs: 9,
  degraded: null,
  repeated: false,
};
const FIELDS =
  `"instrument_id":"${BTC}","signal_id":"s-1","side":1,"meta_confidence":0.73,"regime_weight":0.5,"toxicity":0.25,"size":0.1,"size_reason":"",` +
  '"model_available":true,"toxicity_available":true,"regime_available":false,"as_of":0,"as_of_sequence":-1,"generation":0,"model_id":"","latency_ns":9,"degraded":"","repeated":false';

test('an answer is custom data in the form of its version, on a topic without wildcards', () => {
  const [v1, v2] = codecs.map((codec) => codec.encodeEnriched(ANSWER, 1751414400123456789n));
  assert.is(
    String(v1!.payload),
    `{"type":"EnrichedSignal",${FIELDS},"ts_event":"1751414400000000000","ts_init":"1751414400123456789"}`,
  );
  assert.is(
    String(v2!.payload),
    `{"data_type":{"metadata":{},"type_name":"EnrichedSignal"},"payload":{"type":"EnrichedSignal",${FIELDS},"ts_event":1751414400000000000,"ts_init":1751414400123456789},"type":"EnrichedSignal"}`,
  );
  for (const frame of [v1!, v2!])
    assert.equal([frame.topic, frame.type, frame.encoding], ['data.EnrichedSignal', 'EnrichedSignal', 'json']);
  const names = Object.keys(JSON.parse(String(v1!.payload))).filter((name) => !name.startsWith('ts_'));
  for (const name of names) assert.not('expire_time_ns'.includes(name), name);
});

test('a refusal of a signal is custom data too, whose instrument is plain text', () => {
  const rejection: Rejection = {
    ...{ code: 'INVALID_SIGNAL' as const, field: null, reason: 'no "side"', signalId: 's-1', instrumentId: null },
    ...{ payload: null, repeated: false },
  };
  const fields =
    '"instrument_id":"","signal_id":"s-1","code":"INVALID_SIGNAL","field":"","reason":"no \\"side\\"","repeated":false';
  const [v1, v2] = codecs.map((codec) => codec.encodeRejected(rejection, 1751414400000000000n, 1751414400123456789n));
  assert.is(
    String(v1!.payload),
    `{"type":"RejectedSignal",${fields},"ts_event":"1751414400000000000","ts_init":"1751414400123456789"}`,
  );
  assert.is(
    String(v2!.payload),
    `{"data_type":{"metadata":{},"type_name":"RejectedSignal"},"payload":{"type":"RejectedSignal",${fields},"ts_event":1751414400000000000,"ts_init":1751414400123456789},"type":"RejectedSignal"}`,
  );
  for (const [k, frame] of [v1!, v2!].entries()) {
    assert.equal([frame.topic, frame.type], ['data.RejectedSignal', 'RejectedSignal']);
    const read = codecs[k]!.decodeReply({ payload: Buffer.from(frame.payload) });
    assert.equal(read, { kind: 'rejected', rejection });
  }
});

test('what NautilusTrader has no form for is not written', () => {
  const bar = { ...BAR_INPUT.bar };
  for (const codec of codecs) {
    assert.throws(() => codec.encodeInput({ kind: 'bar', instrumentId: 'X', bar }), /SYMBOL.VENUE/);
    assert.throws(
      () => codec.encodeInput({ kind: 'signal', event: { instrumentId: BTC, signal: 1, timestamp: 1n, bars: [bar] } }),
      /no bars/,
    );
  }
});

test.run();
