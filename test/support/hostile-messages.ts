import { pack } from 'msgpackr';
import { seededRandom } from './market.js';

/** Bytes that no orchestrator may take, by the random number in [0, 1) that varies them. */
type Family = (random: () => number) => Buffer;

const NS = '1751414400123456789';
const BAR = { type: 'bar', instrumentId: 'X', tsEventNs: NS, open: 10, high: 11, low: 9, close: 10.5, volume: 5 };
const SIGNAL = { type: 'signal', instrumentId: 'X', signal: 1, timestamp: NS };

const pick = <T>(random: () => number, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const either = (random: () => number, value: unknown): Buffer => (random() < 0.5 ? json(value) : pack(value));
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const repeat = (text: string, random: () => number): string => text.repeat(50 + Math.floor(random() * 2000));
const PRICES = ['open', 'high', 'low', 'close'] as const;

/** Every kind of message that has to be refused, in the plain dialect with a store that holds bars of no instrument. */
export const HOSTILE_FAMILIES: Readonly<Record<string, Family>> = {
  'just over the limit': (random) => json({ ...SIGNAL, more: 'x'.repeat(2 ** 20 - Math.floor(random() * 50)) }),
  'nested JSON': (random) => Buffer.from(`{"type":"signal","a":${repeat('[', random)}`),
  'nested closed JSON': (random) => Buffer.from(`{"a":${'{"a":'.repeat(40 + random() * 999)}1${'}'.repeat(9)}`),
  'nested MessagePack': (random) => hex(`81a161${repeat(pick(random, ['91', '81a161']), random)}c0`),
  'wrong type of price': (random) =>
    either(random, { ...BAR, [pick(random, PRICES)]: pick<unknown>(random, [true, [], {}, [1], { a: 1 }]) }),
  'no number': (random) =>
    either(random, {
      ...BAR,
      [pick(random, PRICES)]: pick(random, ['', 'x', '1,5', '0x10', '1e', 'NaN', 'Infinity', ' 1', null]),
    }),
  'NaN and infinities': (random) =>
    pack({ ...BAR, [pick(random, PRICES)]: pick(random, [Number.NaN, Infinity, -Infinity]) }),
  'NaN in JSON': (random) =>
    Buffer.from(JSON.stringify(BAR).replace('10.5', pick(random, ['NaN', 'Infinity', '-Infinity', '1e999']))),
  'price not positive': (random) =>
    either(random, { ...BAR, [pick(random, PRICES)]: pick(random, [-random() - 1e-9, 0, '-1.5']) }),
  'negative volume': (random) => either(random, { ...BAR, volume: -random() - 1e-9 }),
  'inconsistent bar': (random) =>
    either(random, { ...BAR, ...pick(random, [{ high: 9.5 }, { low: 10.9 }, { close: 12 }, { open: 1 }]) }),
  'number as timestamp': (random) =>
    either(random, { ...SIGNAL, timestamp: pick(random, [1.5, 1e9 + random(), 1751414400, -1, 1.7514144e9]) }),
  'float timestamp': (random) => pack({ ...BAR, tsEventNs: 1.7514144e18 + Math.floor(random() * 1e6) * 1024 }),
  'no timestamp': (random) =>
    either(random, {
      ...SIGNAL,
      timestamp: pick(random, [
        '',
        'x',
        '-5',
        '9223372036854775808',
        '2025-02-30',
        {},
        [],
        null,
        '1e18',
        '9'.repeat(9999),
      ]),
    }),
  'bar in the far future': (random) =>
    json({ ...BAR, tsEventNs: String(9_000_000_000_000_000_000n + BigInt(Math.floor(random() * 1e9))) }),
  'no side': (random) =>
    either(random, { ...SIGNAL, signal: pick(random, [2, -2, 0.5, '1', 'BUY', null, true, [], {}]) }),
  'absurd id': (random) =>
    either(random, { ...SIGNAL, signalId: pick(random, ['', 5, {}, [], true, 'x'.repeat(257), 'x'.repeat(9999)]) }),
  'ill-formed id': () => json({ ...SIGNAL, signalId: 'a\ud800b' }),
  'absurd instrument of a signal': (random) =>
    either(random, { ...SIGNAL, instrumentId: pick(random, ['', 5, null, {}, 'x'.repeat(257)]) }),
  'absurd instrument of a bar': (random) =>
    either(random, { ...BAR, instrumentId: pick(random, ['', 5, null, 'x'.repeat(128), 'é'.repeat(64)]) }),
  'unknown type': (random) =>
    either(random, { ...SIGNAL, type: pick(random, ['order', '', null, 5, 'Signal', '__proto__', 'constructor']) }),
  'prototype keys': (random) =>
    Buffer.from(`{"${pick(random, ['__proto__', 'constructor', 'prototype'])}":${JSON.stringify(SIGNAL)}}`),
  'prototype keys in MessagePack': () => Buffer.concat([hex('81a95f5f70726f746f5f5f'), pack(SIGNAL)]),
  'features that are none': (random) => either(random, { ...SIGNAL, features: pick(random, [5, 'x', [], true]) }),
  'bars that are none': (random) =>
    either(random, { ...SIGNAL, bars: pick(random, [5, 'x', {}, [5], [null], [[]], [{}]]) }),
  'too few bars': (random) => either(random, { ...SIGNAL, bars: pick(random, [[], [BAR]]) }),
  'bars that repeat': () => json({ ...SIGNAL, bars: Array(120).fill(BAR) }),
  'absurd sequence': (random) =>
    either(random, { ...SIGNAL, source: 'a', sequence: pick(random, [-1, 1.5, 'x', {}, true]) }),
  'cut JSON': (random) => json(BAR).subarray(0, Math.floor(random() * (json(BAR).length - 1))),
  'cut MessagePack': (random) => pack(BAR).subarray(0, Math.floor(random() * (pack(BAR).length - 1))),
  'ill-formed UTF-8': () => Buffer.concat([Buffer.from('{"type":"signal","a":"'), hex('c328ff'), Buffer.from('"}')]),
  empty: () => Buffer.alloc(0),
  noise: (random) =>
    Buffer.from(Array.from({ length: 1 + random() * 300 }, (_, at) => (at === 0 ? 0xc1 : random() * 256))),
  'giant header': (random) =>
    hex(
      pick(random, [
        'dfffffffff',
        'deffff',
        '81a161ddffffffff',
        '81a161dbffffffff',
        '81a161c6ffffffff',
        '81a161c9ffffffff01',
      ]),
    ),
  'extension types': (random) =>
    hex(`81a161${pick(random, ['d4724091a161', 'd6ff00000000', 'c70478000000', 'd670000000ff', 'c1'])}`),
  'unending text': (random) => Buffer.from(`{"${repeat('\\"', random)}`),
  'no object': (random) => Buffer.from(pick(random, ['[]', '1', '"x"', 'null', 'true', '[{}]'])),
};

/** Every so many messages one is far larger than is read. */
const HUGE_EVERY = 2500;

/** So many malformed or hostile messages, of all families by turns; the same seed gives the same bytes. */
export function* hostileMessages(count: number, seed: number): Iterable<Buffer> {
  const random = seededRandom(seed);
  const families = Object.values(HOSTILE_FAMILIES);
  for (let index = 0; index < count; index++) {
    if (index % HUGE_EVERY === HUGE_EVERY - 1) yield Buffer.alloc(8 * 2 ** 20, '{"a":');
    else yield families[index % families.length]!(random);
  }
}
