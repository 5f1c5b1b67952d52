import { parseArgs } from 'node:util';
import { runRedisDrill } from '../support/redis-drill.js';
import type { FaultName } from '../support/redis-drill-faults.js';

/**
 * Kills and disturbs everything between a strategy and its answers, and fails if one is lost, doubled or other than in a run without faults.
 * `node dist/test/soak/redis.js [--kills 200] [--seed n] [--only fault]…`
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string', multiple: true },
  },
});
const [kills, seed] = [Number(values.kills), Number(values.seed)];
console.log(`soak redis: ${kills} kills, seed ${seed}`);
const startMs = performance.now();
const seconds = (): string => ((performance.now() - startMs) / 1000).toFixed(0);
const variants = [
  { isDurable: true, dispatch: 'inline', share: 0.3 },
  { isDurable: false, dispatch: 'auto', share: 0.4 },
  { isDurable: true, dispatch: 'auto', share: 0.3, redis: { answerWhenRecorded: true } },
] as const;
let failures = 0;
for (const [k, { share, ...variant }] of variants.entries()) {
  const faults = Math.round(kills * share);
  console.log(JSON.stringify(variant));
  const {
    violations,
    unrecorded,
    faults: counts,
    ...figures
  } = await runRedisDrill({
    ...variant,
    ...{ faults, seed: seed + k },
    ...(values.only !== undefined && { only: values.only as FaultName[] }),
    onFault: (count, name) => {
      if (count % 10 === 0) console.log(`${count} of ${faults}: ${name}, ${seconds()} s`);
    },
  });
  for (const [name, value] of Object.entries({ ...figures, unrecorded: unrecorded.length, ...counts }))
    console.log(`${name}: ${value}`);
  for (const violation of violations.slice(0, 20)) console.log(violation.slice(0, 4000));
  failures += violations.length;
}
console.log(`violations: ${failures}`);
console.log(`seconds: ${seconds()}`);
process.exit(failures > 0 ? 1 : 0);
