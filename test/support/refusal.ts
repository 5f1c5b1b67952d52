import { OrchestratorError } from '../../src/errors.js';

/** The operating error a call ends in. An answer fails the test, and so does any other kind of error. */
export async function refusalOf(call: () => unknown): Promise<OrchestratorError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof OrchestratorError) return error;
    throw error;
  }
  throw new Error('the call was answered instead of refused');
}
