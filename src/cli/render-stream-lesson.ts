import { count, describeRounded } from './render.js';
import { printable } from './render-bus.js';
import type { StreamLessonCounts } from './stream-lesson.js';

/** What was read of a partition, for a person. */
export function renderStreamLesson(counts: StreamLessonCounts, partition: string): string {
  const { bars, signals, instruments, messages, roundedCount } = counts;
  const refused = Object.entries(counts.refused).map(([code, times]) => `${count(times)} ${code}`);
  const aside = [
    told(counts.replaced, 'signals gave way to a later one of the same bar, which counts'),
    told(counts.withoutBar, 'signals saw no bar'),
    told(counts.repeated, 'messages came again'),
    told(counts.ignored, 'were of no concern'),
    ...(refused.length > 0 ? [`refused: ${refused.join(', ')}`] : []),
    ...(roundedCount > 0 ? [describeRounded(roundedCount)] : []),
  ].filter((part) => part !== '');
  const head = `${count(messages)} messages of partition ${printable(partition)}: ${count(bars)} bars and ${count(signals)} signals; trained on ${count(instruments)} instruments`;
  return [head, ...aside.map((part) => `  ${part}`)].join('\n');
}

function told(times: number, what: string): string {
  return times === 0 ? '' : `${count(times)} ${what}`;
}
