import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { decodeRejection, encodeRejection } from '../../../src/bus/redis/rejection-codec.js';
import { OrchestratorConfig } from '../../../src/config.js';
import { OrchestratorError } from '../../../src/errors.js';
import { PROPERTY_RUNS } from '../../support/sizes.js';

const rejection = fc.record(
  {
    code: fc.constantFrom('INVALID_SIGNAL' as const, 'PAYLOAD_TOO_LARGE' as const),
    field: fc.option(fc.string({ unit: 'grapheme' })),
    reason: fc.string({ unit: 'grapheme' }),
    signalId: fc.option(fc.string({ unit: 'grapheme' })),
    instrumentId: fc.option(fc.string({ unit: 'grapheme' })),
    payload: fc.option(fc.uint8Array().map((bytes) => Buffer.from(bytes))),
    repeated: fc.boolean(),
  },
  { noNullPrototype: true },
);

test('a rejection comes back as it was, every byte of its payload', () => {
  fc.assert(
    fc.property(rejection, (one) => {
      assert.equal(decodeRejection(encodeRejection(one)), one);
    }),
    { numRuns: PROPERTY_RUNS },
  );
});

test('a rejection has the shape of the plain dialect, with the bytes of the message', () => {
  const refused = {
    ...{ code: 'INVALID_SIGNAL' as const, field: 'signal', reason: 'no side', signalId: 'a', instrumentId: 'X' },
    ...{ payload: Buffer.from('{}'), repeated: false },
  };
  const { payload, ...fields } = JSON.parse(encodeRejection(refused).toString()) as Record<string, unknown>;
  assert.is(payload, 'e30=');
  const plain = openDialect(OrchestratorConfig.parse()).encodeRejected(refused, 0n, 0n).payload;
  assert.is(JSON.stringify(fields), plain);
});

test('what is no rejection is refused with a code, whatever it is', () => {
  const codeOf = (bytes: Uint8Array): string => {
    try {
      decodeRejection(bytes);
      return 'none';
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      return error.code;
    }
  };
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.match(codeOf(bytes), /^(PAYLOAD_MALFORMED|INVALID_MESSAGE)$/);
    }),
    { numRuns: PROPERTY_RUNS },
  );
  fc.assert(
    fc.property(
      rejection,
      fc.constantFrom('code', 'field', 'reason', 'signalId', 'payload', 'repeated'),
      (one, name) => {
        const fields = JSON.parse(encodeRejection(one).toString()) as Record<string, unknown>;
        assert.is(codeOf(Buffer.from(JSON.stringify({ ...fields, [name]: 7 }))), 'INVALID_MESSAGE');
        delete fields[name];
        assert.is(codeOf(Buffer.from(JSON.stringify(fields))), 'INVALID_MESSAGE');
      },
    ),
    { numRuns: PROPERTY_RUNS },
  );
});

test.run();
