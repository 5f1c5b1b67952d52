import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { README } from '../support/readme.js';
import { HAS_REDIS_SERVER } from '../support/redis-server.js';
import { playSession } from '../support/session.js';

const TITLE = 'the README shows what three terminals really print';

/** Model ids hold their creation time. */
function withoutIds(session: string): string {
  return session.replace(/model [0-9a-f]{16}/g, 'model _');
}

if (HAS_REDIS_SERVER) {
  test(TITLE, async () => {
    const shown = /<!-- session:start -->\n```text\n([\s\S]*?)\n```\n<!-- session:end -->/.exec(
      readFileSync(README, 'utf8'),
    );
    assert.ok(shown, 'the README has a session');
    assert.is(withoutIds(shown[1]!), withoutIds(await playSession()));
  });
} else {
  console.log(`skipped: ${TITLE} (no redis-server in PATH)`);
  test.skip(TITLE);
}

test.run();
