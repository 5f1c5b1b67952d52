import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type RedisDrillOptions, runRedisDrill } from '../support/redis-drill.js';
import { HAS_REDIS_SERVER } from '../support/redis-server.js';
import { REDIS_FAULTS } from '../support/sizes.js';

const seed = Date.now() % 2 ** 31;

async function drill(options: Pick<RedisDrillOptions, 'isDurable' | 'dispatch' | 'redis' | 'only'>): Promise<void> {
  const { violations, ...figures } = await runRedisDrill({ faults: REDIS_FAULTS, seed, ...options });
  console.log(`redis drill, seed ${seed}: ${JSON.stringify(figures)}`);
  assert.equal(violations.slice(0, 5), [], `seed ${seed}`);
  assert.is(figures.answered + figures.deadLettered >= figures.signals, true);
  assert.is(figures.gaps, 0, `seed ${seed}`);
  if (options.redis?.answerWhenRecorded === true) assert.equal(figures.unrecorded, [], `seed ${seed}`);
}

/** As {@link redisTest}, for a drill that starts its server itself. */
function drillTest(title: string, options: Parameters<typeof drill>[0]): void {
  if (HAS_REDIS_SERVER) {
    test(title, async () => drill(options));
    return;
  }
  console.log(`skipped: ${title} (no redis-server in PATH)`);
  test.skip(title);
}

drillTest(
  'with everything recorded, each signal is answered or refused once, as without faults, whatever is killed or cut',
  {
    isDurable: true,
    dispatch: 'auto',
    only: ['kill orchestrator', 'hold sent', 'kill redis', 'memory', 'kill producer', 'cut'],
  },
);

drillTest(
  'with nothing recorded the windows come from the stream again, and answers are those of a run without faults',
  {
    isDurable: false,
    dispatch: 'inline',
    only: [
      'kill redis',
      'hold received',
      'kill orchestrator',
      'pause',
      'kill producer',
      'client kill',
      'hold both',
      'delay',
    ],
  },
);

drillTest('answers that wait for the disk are all of recorded signals, whichever process is killed', {
  isDurable: true,
  dispatch: 'auto',
  redis: { answerWhenRecorded: true },
  only: ['kill orchestrator', 'kill redis'],
});

test.run();
