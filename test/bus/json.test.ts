import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readJson, writeJson } from '../../src/bus/json.js';
import { OrchestratorError } from '../../src/errors.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const seed = Date.now() & 0x7fffffff;
const read = (text: string): unknown => readJson(Buffer.from(text));

function outcomeOf(act: () => unknown): { value: unknown } | 'refused' {
  try {
    return { value: act() };
  } catch (error) {
    if (error instanceof OrchestratorError) assert.is(error.code, 'PAYLOAD_MALFORMED');
    else if (!(error instanceof SyntaxError)) throw error;
    return 'refused';
  }
}

test('integers of sixteen digits and more are read as their digits, wherever they stand', () => {
  assert.equal(read('{"a":1751414400123456789,"b":[-9223372036854775808 , 1234567890123456\n]}'), {
    a: '1751414400123456789',
    b: ['-9223372036854775808', '1234567890123456'],
  });
  assert.equal(read('{"a":123456789012345}'), { a: 123456789012345 });
});

test('fractions, exponents and text of many digits are left as they are', () => {
  const value = {
    a: 0.30000000000000004,
    b: 1234567890123456.5,
    c: 'x 1751414400123456789 \\" 1751414400123456789',
    d: 1e300,
  };
  assert.equal(read(JSON.stringify(value)), value);
  assert.equal(read('{"a":1234567890123456E2,"b":-0.1000000000000000055511151231257827}'), {
    a: 1.234567890123456e17,
    b: -0.1,
  });
});

test('a text is refused exactly when JSON.parse refuses it, and means the same otherwise', () => {
  const fragment = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    '\\',
    'a',
    '\\u0041',
    ' ',
    '1',
    '-',
    '.',
    'e',
    '0',
    '123456789012345',
    'true',
    '"k":',
  );
  const soup = fc.array(fragment, { maxLength: 14 }).map((parts) => parts.join(''));
  const near = fc.tuple(fc.json(), fc.nat(), soup).map(([json, at, insert]) => {
    const cut = at % (json.length + 1);
    return json.slice(0, cut) + insert + json.slice(cut);
  });
  fc.assert(
    fc.property(fc.oneof(soup, near, fc.json({ maxDepth: 5 })), (text) => {
      // Long integers are compared as digits, so they are taken out of the oracle by a double's own reading.
      const ours = outcomeOf(() => JSON.stringify(read(text), asDouble));
      assert.equal(
        ours,
        outcomeOf(() => JSON.stringify(JSON.parse(text), asDouble)),
      );
    }),
    { numRuns: 20 * PROPERTY_RUNS, seed },
  );
});

function asDouble(_key: string, value: unknown): unknown {
  const isLong = typeof value === 'string' && /^-?[1-9]\d{15,}$/.test(value);
  return isLong ? Number(value) : value;
}

test('a key that is a bare integer and an integer that begins with a zero stay malformed', () => {
  for (const text of [
    '{1234567890123456:1}',
    '{1234567890123456 :1}',
    '{"a":0000000000000001}',
    '{"a":-01234567890123456}',
  ]) {
    assert.is(
      outcomeOf(() => read(text)),
      'refused',
      text,
    );
  }
});

test('prototype keys are properties like any other', () => {
  const object = read('{"__proto__":{"polluted":1},"constructor":2}') as Record<string, unknown>;
  assert.equal(Object.keys(object), ['__proto__', 'constructor']);
  assert.is(Object.getPrototypeOf(object), Object.prototype);
  assert.is(({} as Record<string, unknown>).polluted, undefined);
});

test('ill-formed UTF-8 and too many levels are refused, a byte order mark is not', () => {
  assert.is(
    outcomeOf(() => readJson(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))),
    'refused',
  );
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  assert.is(
    outcomeOf(() => read(nested(33))),
    'refused',
  );
  assert.is.not(
    outcomeOf(() => read(nested(32))),
    'refused',
  );
  assert.is.not(
    outcomeOf(() => read(`{"a":"${'['.repeat(99)}"}`)),
    'refused',
  );
  assert.equal(readJson(Buffer.from([0xef, 0xbb, 0xbf, ...Buffer.from('{"é":1751414400123456789}')])), {
    é: '1751414400123456789',
  });
});

test('sixteen times the hostile text takes nowhere near its square in time', () => {
  const families: Record<string, (length: number) => string> = {
    'escaped quotes without an end': (length) => '{"'.concat('\\"'.repeat(length / 2)),
    'a quote and backslashes': (length) => `"${'\\'.repeat(length + 1)}`,
    quotes: (length) => '"'.repeat(length + 1),
    'digits that end in a point': (length) => `{"a":${'1'.repeat(length)}.`,
    'runs of digits': (length) => '1234567890123456 '.repeat(length / 17),
    signs: (length) => '-'.repeat(length),
    'blanks after digits': (length) => `1234567890123456${' '.repeat(length)}`,
    brackets: (length) => '['.repeat(length),
  };
  for (const [name, make] of Object.entries(families)) {
    const short = fastest(make(2 ** 16));
    const long = fastest(make(2 ** 20));
    // The square would be 256 times; machines jitter.
    assert.ok(long < 100 * Math.max(short, 0.05), `${name}: ${short} ms, then ${long} ms`);
  }
});

function fastest(text: string): number {
  const bytes = Buffer.from(text);
  const times = Array.from({ length: 3 }, () => {
    const start = performance.now();
    outcomeOf(() => readJson(bytes));
    return performance.now() - start;
  });
  return Math.min(...times);
}

test('what is written is read back with the bits of every number', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string({ unit: 'binary' }), (number, text) => {
      const back = read(writeJson({ number, text, gone: undefined, list: [number, null, true] }, 'text'));
      // Doubles of sixteen digits and more come back as those digits.
      assert.is((back as { text: string }).text, text);
      assert.ok(Object.is(Number((back as { number: number | string }).number), number));
    }),
    { numRuns: PROPERTY_RUNS, seed },
  );
});

test('a bigint is written as its digits, in quotes or bare, and never as a rounded number', () => {
  const value = { ns: 2n ** 63n - 1n };
  assert.is(writeJson(value, 'text'), '{"ns":"9223372036854775807"}');
  assert.is(writeJson(value, 'literal'), '{"ns":9223372036854775807}');
});

test('what JSON has no number for is written as null', () => {
  assert.is(
    writeJson([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, undefined], 'text'),
    '[null,null,null,null]',
  );
  assert.is(writeJson({}, 'text'), '{}');
});

test.run();
