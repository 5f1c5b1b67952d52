import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decoded, Dialect, Frame, WrittenFrame } from '../../src/bus/dialect.js';
import type { BusInput, EnrichedMessage } from '../../src/bus/message-bus.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { OrchestratorConfig } from '../../src/config.js';
import { decodedAnswer } from '../support/decoded-answer.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const seed = Date.now() & 0x7fffffff;
const dialects = (['plain', 'nautilus-v1', 'nautilus-v2'] as const).flatMap((dialect) =>
  (['json', 'msgpack'] as const).map((encoding) => ({
    name: `${dialect} ${encoding}`,
    isPlain: dialect === 'plain',
    codec: openDialect(OrchestratorConfig.parse({ userFeatures: ['spread'], redis: { dialect, encoding } })),
  })),
);

/** MessagePack has no −0. */
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value));
/** From 2^53 to the end of int64. */
const ns = fc.bigInt(2n ** 53n, 2n ** 63n - 1n);
const text = fc.stringMatching(/^[A-Za-z0-9"\\é-]{1,20}$/);
const instrument = fc.stringMatching(/^[A-Z0-9.:/-]{1,12}\.[A-Z]{1,8}$/);
const side = fc.constantFrom(-1 as const, 0 as const, 1 as const);
const bar = fc
  .tuple(ns, fc.array(fc.double({ min: 1e-9, max: 1e12, noNaN: true }), { minLength: 4, maxLength: 4 }), double)
  .map(([tsEventNs, prices, volume]) => {
    const [low, open, close, high] = Float64Array.from(prices).sort();
    return { tsEventNs, open: open!, high: high!, low: low!, close: close!, volume: volume < 0 ? Number.NaN : volume };
  });
const anyBar: fc.Arbitrary<BusInput> = fc.record({ kind: fc.constant('bar' as const), instrumentId: instrument, bar });
const event = fc.record(
  {
    instrumentId: instrument,
    signal: side,
    timestamp: ns,
    signalId: text,
    features: fc.record({ spread: fc.oneof(double, fc.constant(Number.NaN)) }),
  },
  { requiredKeys: ['instrumentId', 'signal', 'timestamp', 'features'] },
);
const anySignal: fc.Arbitrary<BusInput> = fc.record({ kind: fc.constant('signal' as const), event });
const answer: fc.Arbitrary<EnrichedMessage> = fc.record({
  signalId: text,
  instrumentId: instrument,
  signal: side,
  timestamp: ns,
  metaConfidence: double,
  regimeWeight: double,
  toxicity: double,
  size: double,
  sizeReason: fc.option(text),
  modelAvailable: fc.boolean(),
  toxicityAvailable: fc.boolean(),
  regimeAvailable: fc.boolean(),
  asOfNs: fc.oneof(ns, fc.constant(0n)),
  asOfSequence: fc.integer({ min: -1 }),
  generation: fc.nat(),
  modelId: fc.oneof(text, fc.constant('')),
  latencyNs: fc.nat(),
  degraded: fc.constantFrom(null, 'deadline', 'worker-failed', 'stale-window', 'insufficient-history', 'stale-bars'),
  repeated: fc.boolean(),
});

/** uvu compares −0 and NaN by their text only, and the records of fast-check have no prototype. */
const bits = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint'
      ? `${item}n`
      : typeof item === 'number'
        ? Buffer.from(Float64Array.of(item).buffer).toString('hex')
        : sorted(item),
  );

function sorted(item: unknown): unknown {
  const isRecord = typeof item === 'object' && item !== null && !Array.isArray(item);
  return isRecord ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item;
}

/** As it arrives. */
function sent(frame: WrittenFrame): Frame {
  return { ...frame, payload: Buffer.from(frame.payload) };
}

function inputOf(decoded: Decoded): BusInput {
  if (decoded.kind === 'input') return decoded.input;
  throw decoded.kind === 'invalid' ? decoded.error : new Error(decoded.kind);
}

for (const { name, codec, isPlain } of dialects) {
  test(`${name}: bars, signals and answers come back with every bit`, () => {
    fc.assert(
      fc.property(fc.oneof(anyBar, anySignal), (input) => {
        assert.is(bits(inputOf(codec.decode(sent(codec.encodeInput(input))))), bits(input));
      }),
      { numRuns: 3 * PROPERTY_RUNS, seed },
    );
    fc.assert(
      fc.property(answer, ns, (message, nowNs) => {
        assert.is(bits(decodedAnswer(codec, sent(codec.encodeEnriched(message, nowNs)))), bits(message));
      }),
      { numRuns: 3 * PROPERTY_RUNS, seed },
    );
  });

  test(`${name}: a message with bytes changed, cut or added is decoded or refused with a code`, () => {
    const change = fc.tuple(
      fc.nat(),
      fc.nat(2),
      fc.oneof(
        fc.uint8Array({ maxLength: 4 }),
        fc.constantFrom(Buffer.from('{"'), Buffer.from('9e99'), Buffer.from('\xdf\xff', 'latin1')),
      ),
    );
    const counts = { invalid: 0, input: 0, ignored: 0, heartbeat: 0 };
    fc.assert(
      fc.property(fc.oneof(anyBar, anySignal), fc.array(change, { minLength: 1, maxLength: 4 }), (input, changes) => {
        const frame = codec.encodeInput(input);
        const payload = changes.reduce((bytes, [at, removed, added]) => {
          const cut = at % bytes.length;
          return Buffer.concat([bytes.subarray(0, cut), added, bytes.subarray(cut + removed), Buffer.from('')]);
        }, Buffer.from(frame.payload));
        counts[checked(codec, payload, frame.topic)]++;
      }),
      { numRuns: 5 * PROPERTY_RUNS, seed },
    );
    assert.ok(counts.invalid > 0);
    fc.assert(
      fc.property(
        fc.uint8Array(),
        (payload) => void checked(codec, payload, isPlain ? undefined : 'data.PrimarySignal*'),
      ),
      { numRuns: 5 * PROPERTY_RUNS, seed },
    );
  });
}

function checked(codec: Dialect, payload: Uint8Array, topic: string | undefined): Decoded['kind'] {
  const decoded = codec.decode({ payload, topic });
  if (decoded.kind === 'invalid') assert.match(decoded.error.code, /^[A-Z_]+$/);
  return decoded.kind;
}

const plain = dialects[0]!.codec;
const read = (message: unknown): Decoded => plain.decode({ payload: Buffer.from(JSON.stringify(message)) });
const SIGNAL = { type: 'signal', signalId: 's-1', instrumentId: 'X', signal: 1, timestamp: '1751414400123456789' };

test('a plain signal brings its bars, the declared features and its place, and other keys are passed over', () => {
  const barFields = { tsEventNs: '1751414400000000000', open: '1.5', high: 2, low: 1, close: 1.25, volume: null };
  const decoded = read({
    ...SIGNAL,
    bars: [barFields],
    features: { spread: null, other: 'x' },
    source: 'a',
    sequence: 7,
    more: {},
  });
  assert.equal(decoded, {
    kind: 'input',
    input: {
      kind: 'signal',
      event: {
        instrumentId: 'X',
        signal: 1,
        timestamp: 1751414400123456789n,
        signalId: 's-1',
        features: { spread: Number.NaN },
        bars: [{ tsEventNs: 1751414400000000000n, open: 1.5, high: 2, low: 1, close: 1.25, volume: Number.NaN }],
      },
    },
    place: { source: 'a', sequence: 7n },
  });
});

test('a bar says that it is historical, by true or false and nothing else', () => {
  const bar = {
    ...{ type: 'bar', instrumentId: 'X', tsEventNs: '1700000060000000000' },
    open: 1,
    high: 1,
    low: 1,
    close: 1,
  };
  const historical = (value: unknown): unknown => {
    const decoded = read({ ...bar, historical: value });
    if (decoded.kind === 'invalid') return decoded.error.field;
    return decoded.kind === 'input' && decoded.input.kind === 'bar' && decoded.input.historical;
  };
  assert.equal([undefined, null, false, true, 'true'].map(historical), [
    undefined,
    undefined,
    undefined,
    true,
    'historical',
  ]);
});

test('a refused message tells its signal when it can be read, and the field at fault', () => {
  const refused = (message: unknown): unknown[] => {
    const decoded = read(message);
    return decoded.kind === 'invalid'
      ? [decoded.error.code, decoded.error.field, decoded.claim?.signalId]
      : [decoded.kind];
  };
  assert.equal(refused({ ...SIGNAL, signal: 2 }), ['INVALID_SIGNAL', 'signal', 's-1']);
  assert.equal(refused({ ...SIGNAL, type: 'order' }), ['INVALID_MESSAGE', 'type', 's-1']);
  assert.equal(refused({ ...SIGNAL, signalId: 'x'.repeat(257) }), ['INVALID_SIGNAL', 'signalId', null]);
  assert.equal(refused({ ...SIGNAL, signalId: '\ud800' }), ['INVALID_SIGNAL', 'signalId', null]);
  assert.equal(refused({ ...SIGNAL, features: { spread: 'x' } }), ['NOT_A_NUMBER', 'features.spread', 's-1']);
  assert.equal(refused({ ...SIGNAL, bars: [{ tsEventNs: '1', open: -1, high: 1, low: 1, close: 1 }] }), [
    'PRICE_NOT_POSITIVE',
    'bars[0].open',
    's-1',
  ]);
  assert.equal(refused({ ...SIGNAL, source: 'a', sequence: -1 }), ['INVALID_MESSAGE', 'sequence', 's-1']);
});

test('timestamps are nanoseconds in digits or ISO 8601, never a number that cannot hold them', () => {
  const at = (timestamp: unknown): unknown => {
    const decoded = read({ ...SIGNAL, timestamp });
    return decoded.kind === 'invalid'
      ? decoded.error.code
      : (inputOf(decoded) as Extract<BusInput, { kind: 'signal' }>).event.timestamp;
  };
  assert.is(at('2025-07-02T00:00:00.123456789Z'), 1751414400123456789n);
  assert.is(at('1751414400123456789'), 1751414400123456789n);
  for (const wrong of [
    1751414400,
    1751414400123,
    1.5,
    1.7514144001e9,
    '1751414400.5',
    '-1',
    '9223372036854775808',
    '',
    null,
    true,
    [],
    {},
  ]) {
    assert.is(at(wrong), 'BAD_TIMESTAMP', String(wrong));
  }
});

test.run();
