import { OrchestratorError } from '../errors.js';
import { describeLookAhead } from '../validation/look-ahead.js';
import type { TrainingPlan } from './training-plan.js';
import type { TrainingSet } from './training-set.js';

const WAYS_OUT =
  'If they carry the opening stamps of the bars they were made from, say so (--signals-at open) or stamp them at the close; ' +
  'if they are right, set training.lookAhead to allow (--look-ahead allow)';

/**
 * Refuses labels to learn or judge from whose sides seem to know them, unless the plan allows it.
 * Throws LOOK_AHEAD_SUSPECTED, with field `sides`.
 */
export function checkLookAhead(
  { lookAhead }: Pick<TrainingSet, 'lookAhead'>,
  plan: Pick<TrainingPlan, 'lookAhead'>,
): void {
  if (!lookAhead.isSuspected || plan.lookAhead === 'allow') return;
  const message = `${describeLookAhead(lookAhead)}. ${WAYS_OUT}`;
  throw new OrchestratorError('LOOK_AHEAD_SUSPECTED', message, { field: 'sides' });
}
