import { EVALUATED, type Evaluation, type SignalRequest } from '../../src/shared-memory/evaluation.js';

export const ECHO_USER_VALUES = 3;
export const ECHO_COLUMNS = 4;

/** The request a test sends as its `index`-th. */
export function echoRequest(index: number): SignalRequest {
  const userValues = Float64Array.of(index * 0.5, -index, index % 5 === 0 ? Number.NaN : index / 3);
  return { instrument: index & 4095, asOf: index, side: ((index % 3) - 1) as -1 | 0 | 1, userValues };
}

/** An answer in which everything of the request can be seen. */
export function echo(request: SignalRequest, into: Evaluation): void {
  const { instrument, asOf, side, userValues } = request;
  into.status = EVALUATED;
  into.generation = instrument;
  into.modelIdHigh = asOf;
  into.modelIdLow = ~asOf;
  into.size = side;
  into.confidence = userValues[0]!;
  into.regimeWeight = userValues[1]!;
  into.toxicity = userValues[2]!;
  for (let k = 0; k < into.row.length; k++) into.row[k] = asOf + k;
}

/** One number for everything an answer says. */
export function digest(sum: number, answer: Evaluation): number {
  const { modelIdHigh, modelIdLow, generation, size, confidence, regimeWeight, toxicity, row } = answer;
  let digested = sum;
  for (const value of [modelIdHigh, modelIdLow, generation, size, confidence, regimeWeight, toxicity, ...row])
    digested = (Math.imul(digested, 31) + (Number.isNaN(value) ? 7 : Math.trunc(value * 12))) | 0;
  return digested;
}
