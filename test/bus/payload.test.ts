import * as fc from 'fast-check';
import { pack } from 'msgpackr';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeMsgpack } from '../../src/bus/msgpack.js';
import { readPayload } from '../../src/bus/payload.js';
import { type ErrorCode, OrchestratorError } from '../../src/errors.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const seed = Date.now() & 0x7fffffff;
const MAX = 2 ** 20;

function codeOf(bytes: Uint8Array, max = MAX): ErrorCode | null {
  try {
    const value = readPayload(bytes, max);
    assert.type(value, 'object');
    return null;
  } catch (error) {
    if (error instanceof OrchestratorError) return error.code;
    throw error;
  }
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('the first byte tells the format', () => {
  assert.equal(readPayload(Buffer.from(' \n\t{"a":1}'), MAX), { a: 1 });
  assert.equal(readPayload(Buffer.from('\ufeff {"a":1}'), MAX), { a: 1 });
  assert.equal(readPayload(hex('81 a161 01'), MAX), { a: 1 });
  assert.equal(readPayload(hex('de0001 a161 01'), MAX), { a: 1 });
  assert.equal(readPayload(hex('df00000001 a161 01'), MAX), { a: 1 });
  for (const text of ['', ' ', '[1]', '"a"', '1', 'null', '\ufeff', 'health']) {
    assert.is(codeOf(Buffer.from(text)), 'PAYLOAD_MALFORMED', text);
  }
  assert.is(codeOf(hex('91 01')), 'PAYLOAD_MALFORMED');
});

test('more bytes than allowed are refused, whatever they are', () => {
  assert.is(codeOf(Buffer.from('{"a":1}'), 7), null);
  assert.is(codeOf(Buffer.from('{"a":1}'), 6), 'PAYLOAD_TOO_LARGE');
  assert.is(codeOf(Buffer.alloc(2 * MAX, 0xff)), 'PAYLOAD_TOO_LARGE');
});

test('64-bit integers of MessagePack are bigints with every bit', () => {
  const object = readPayload(hex('82 a161 cf184e461e15dccd15 a162 d38000000000000000'), MAX);
  assert.equal(object, { a: 1751414400123456789n, b: -(2n ** 63n) });
});

test('a count or a length beyond the bytes at hand is refused before memory is taken for it', () => {
  const before = process.memoryUsage();
  for (const header of [
    ...[
      'df ffffffff',
      'de ffff',
      '81 a161 dd ffffffff',
      '81 a161 df ffffffff',
      '81 a161 dc ffff',
      '81 a161 db ffffffff',
    ],
    ...['81 a161 c6 ffffffff', '81 a161 da ffff', '81 a161 d9 ff', '81 db ffffffff', '81 a161 dd 00ffffff 01'],
  ]) {
    for (let i = 0; i < 50; i++) assert.is(codeOf(hex(header)), 'PAYLOAD_MALFORMED', header);
  }
  const after = process.memoryUsage();
  assert.ok(after.heapTotal + after.arrayBuffers - before.heapTotal - before.arrayBuffers < 2 ** 27);
});

test('a map of nothing but headers within headers is refused, however long', () => {
  for (const byte of ['81', '91']) {
    assert.is(codeOf(hex(`81 a161 ${byte.repeat(2 ** 19)}`)), 'PAYLOAD_MALFORMED');
    assert.is(codeOf(hex(`81 a161 ${'81a161'.repeat(100_000)} c0`)), 'PAYLOAD_MALFORMED');
  }
  assert.is(codeOf(hex(`81 a161 ${'81a161'.repeat(31)} c0`)), null);
  assert.is(codeOf(hex(`81 a161 ${'81a161'.repeat(32)} c0`)), 'PAYLOAD_MALFORMED');
});

test('extension types, records, references and keys that are no text are refused', () => {
  for (const value of [
    ...['d4 72 40 91 a161 01', 'd5 7240 00 91a161', 'd6 69 00000001 80', 'd6 70 00000001', 'd4 00 00', 'c1'],
    ...[
      'c7 04 ff 00000000',
      'd6 ff 00000000',
      'c7 00 78 92 a161 a167',
      'c7 01 73 00 90',
      'c8 0001 62 00',
      'c9 00000001 42 00',
    ],
  ]) {
    assert.is(codeOf(hex(`81 a161 ${value}`)), 'PAYLOAD_MALFORMED', value);
  }
  for (const key of ['01', 'c0', '90', '80', 'cb3ff0000000000000', 'c4 01 61']) {
    assert.is(codeOf(hex(`81 ${key} 01`)), 'PAYLOAD_MALFORMED', key);
  }
  assert.is(codeOf(pack({ a: new Date(0) })), 'PAYLOAD_MALFORMED');
});

test('MessagePack that is cut short, goes on too long or is no UTF-8 is refused', () => {
  const whole = writeMsgpack({
    type: 'bar',
    list: [1, 2n, 'é', null, true],
    nested: { a: 1.5 },
    long: 'x'.repeat(300),
  });
  for (let end = 0; end < whole.length; end++) assert.is(codeOf(whole.subarray(0, end)), 'PAYLOAD_MALFORMED');
  assert.is(codeOf(whole), null);
  assert.is(codeOf(Buffer.concat([whole, hex('c0')])), 'PAYLOAD_MALFORMED');
  assert.is(codeOf(hex('81 a161 a1ff')), 'PAYLOAD_MALFORMED');
  assert.is(codeOf(hex('81 a1ff c0')), 'PAYLOAD_MALFORMED');
});

test('no key of a message reaches a prototype', () => {
  const keys = ['__proto__', 'constructor', 'prototype', 'toString'];
  for (const key of keys) {
    for (const bytes of [
      Buffer.from(`{"${key}":{"polluted":1}}`),
      Buffer.concat([
        hex('81 d9'),
        Buffer.from([key.length]),
        Buffer.from(key),
        hex('81 a8'),
        Buffer.from('polluted'),
        hex('01'),
      ]),
      Buffer.concat([
        Buffer.from([0x81, 0xa0 + key.length]),
        Buffer.from(key),
        hex('81 a8'),
        Buffer.from('polluted'),
        hex('01'),
      ]),
    ]) {
      const object = readPayload(bytes, MAX);
      assert.is(Object.getPrototypeOf(object), Object.prototype);
      assert.is(object.polluted, undefined);
      assert.is(({} as Record<string, unknown>).polluted, undefined);
    }
  }
});

test('arbitrary bytes are an object or are refused with a code', () => {
  const start = fc.constantFrom('', '{', '{"', '\x81\xa1a', '\x8f', '\xde', '\xdf\x00\x00', '\xef\xbb\xbf{');
  let refused = 0;
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 200 }), (prefix, bytes) => {
      const code = codeOf(Buffer.concat([Buffer.from(prefix, 'latin1'), bytes]));
      if (code === 'PAYLOAD_MALFORMED') refused++;
      else assert.is(code, null);
    }),
    { numRuns: 20 * PROPERTY_RUNS, seed },
  );
  assert.ok(refused > 0);
});

test('what is written in MessagePack is read back with the bits of every number', () => {
  const value = fc.record({
    number: fc.double().filter((number) => !Object.is(number, -0)),
    ns: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    text: fc.string({ unit: 'binary' }).filter((text) => !/\p{Surrogate}/u.test(text)),
    list: fc.array(fc.integer(), { maxLength: 40 }),
    flag: fc.constantFrom(true, false, null),
  });
  fc.assert(
    fc.property(value, (object) => {
      const back = readPayload(writeMsgpack(object), MAX) as typeof object;
      assert.equal({ ...back }, { ...object });
      assert.ok(Object.is(back.number, object.number));
    }),
    { numRuns: 5 * PROPERTY_RUNS, seed },
  );
  assert.ok(Object.is(readPayload(writeMsgpack({ number: -0 }), MAX).number, 0));
});

test.run();
