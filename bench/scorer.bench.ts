// How much faster is the flat scorer than ml-xgboost's own prediction of one row?
import { flattenForest } from '../src/model/forest.js';
import { ForestScorer } from '../src/model/forest-scorer.js';
import { parseModelFile } from '../src/model/model-file.js';
import { Booster } from '../src/model/xgboost.js';
import { checkAnswer, higher, lower, median, nowNs, report, SMOKE, told } from './measure.js';
import { labelledRows } from './workloads.js';

const COLUMNS = 14;
const ROWS = SMOKE ? 300 : 10_000;
const LIBRARY_ROWS = SMOKE ? 100 : 2_000;
const PASSES = SMOKE ? 2 : 11;

for (const [depth, rounds] of [
  [3, 100],
  [5, 100],
  [5, 200],
] as const) {
  const { rows, labels } = labelledRows(ROWS, COLUMNS, 1);
  const booster = await Booster.create(
    rows,
    labels,
    COLUMNS,
    { eta: 0.1, max_depth: depth, base_score: 0.4, seed: 1 },
    'binary:logitraw',
  );
  booster.train(rounds);
  const scorer = new ForestScorer(flattenForest(parseModelFile(booster.save())));
  for (let r = 0; r < LIBRARY_ROWS; r++) {
    const library = booster.predictOne(rows.subarray(r * COLUMNS, (r + 1) * COLUMNS));
    checkAnswer(Object.is(scorer.margin(rows, r * COLUMNS), library), `margin of row ${r} at depth ${depth}`);
  }
  const ours: number[] = [];
  const theirs: number[] = [];
  let checksum = 0;
  for (let pass = 0; pass < PASSES; pass++) {
    let start = nowNs();
    for (let r = 0; r < ROWS; r++) checksum += scorer.margin(rows, r * COLUMNS);
    ours.push((nowNs() - start) / ROWS);
    start = nowNs();
    for (let r = 0; r < LIBRARY_ROWS; r++)
      checksum += booster.predictOne(rows.subarray(r * COLUMNS, (r + 1) * COLUMNS));
    theirs.push((nowNs() - start) / LIBRARY_ROWS);
  }
  booster.free();
  report(`scorer, depth ${depth}, ${rounds} trees`, `${ROWS} rows of ${COLUMNS} columns, ${PASSES} passes`, checksum, {
    ours: lower(median(ours), 'ns/row'),
    'ml-xgboost': told(median(theirs), 'ns/row'),
    'times faster': higher(median(theirs) / median(ours), ''),
  });
}
