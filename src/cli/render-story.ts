import type { BreakStory } from './break-story.js';
import { basisPoints, count, fixed } from './render.js';
import { textTable } from './text-table.js';

/** The story for a person at a terminal. */
export function renderStory(story: BreakStory): string {
  const { bars, trainedBars, breakAt, reverseAt, events, chapters } = story;
  const head = [
    `A simulated market of ${count(bars)} minute bars. Its edge goes to 0 at bar ${count(breakAt)} and returns with the opposite sign at bar ${count(reverseAt)}.`,
    `Trained on the first ${count(trainedBars)} bars; the rest is live, and from there on nobody interferes.`,
  ];
  const happened = [
    ...events,
    { bar: breakAt, what: '--- the edge is gone ---' },
    { bar: reverseAt, what: '--- the edge returns with the opposite sign ---' },
  ].sort((a, b) => a.bar - b.bar);
  const columns = ['', 'bars', 'signals', 'log-loss', 'base rate', 'equal weight', 'sized'];
  const rows = chapters.map((chapter) => [
    chapter.name,
    `${count(chapter.fromBar)} to ${count(chapter.toBar)}`,
    count(chapter.signals),
    fixed(chapter.logLoss, 4),
    fixed(chapter.baseRateLogLoss, 4),
    basisPoints(chapter.equalWeight),
    basisPoints(chapter.sized),
  ]);
  return [
    head.join('\n'),
    happened.map(({ bar, what }) => `  bar ${count(bar).padStart(7)}  ${what}`).join('\n'),
    `What was served, and what a signal returned net of cost, at weight 1 and at the size it was answered with:\n${textTable([columns, ...rows])}`,
    `${count(story.asked)} signals asked, ${count(story.answered)} answered, ${count(story.recorded)} recorded, ${count(story.degraded)} degraded, ${count(story.asked - story.answered)} lost.`,
  ].join('\n\n');
}
