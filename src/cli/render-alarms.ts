import type { FalseAlarms } from '../loop/model-standing.js';

/** "one false alarm in 17,600 to 21,700 labels: 0.4 to 0.5 a month at 300 labels a day". */
export function describeFalseAlarms({ lower, upper, labelsPerDay, perMonth }: FalseAlarms): string {
  const labels = `one false alarm in ${threeDigits(lower)} to ${threeDigits(upper)} labels`;
  if (labelsPerDay === null || perMonth === null) return `${labels}; too few are known to say how often that is.`;
  const [least, most] = perMonth.map((count) => String(Number(count.toPrecision(count < 1 ? 1 : 2))));
  return `${labels}: ${least === most ? least : `${least} to ${most}`} a month at ${threeDigits(labelsPerDay)} labels a day.`;
}

function threeDigits(count: number): string {
  return Number(count.toPrecision(3)).toLocaleString('en-US');
}
