import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as assert from 'uvu/assert';
import { ml4t } from '../support/cli.js';
import { ROOT } from '../support/readme.js';
import { Running } from '../support/session.js';
import type { Case } from './played-case.js';

/** The commands that the example shows, one after the other; resolves with the id of the model. */
export async function teachAndSize(
  url: string,
  { major, python: path }: Pick<Case, 'major' | 'python'>,
  models: string,
): Promise<string> {
  const [lesson, sized] = [`lesson-${major}`, `sized-${major}`];
  const backtest = (...parameters: string[]): Promise<unknown> =>
    promisify(execFile)(path, [join(ROOT, 'examples/nautilus/backtest.py'), '--redis', url, ...parameters]);
  await backtest('--partition', lesson, '--end', '3500');
  const trained = await ml4t(['train', '--redis', url, '--partition', lesson, '--model-dir', models, '--json']);
  assert.is(trained.status, 0, trained.stderr);
  const serving = Running.start(['run', '--redis', url, '--partition', sized, '--model-dir', models]);
  try {
    await serving.printed('bus up');
    await backtest('--partition', sized, '--first', '3400', '--sized');
    assert.is(await serving.interrupted(), 0, serving.errors);
    await serving.printed('stopped after 1,705 bars, 1,685 signals: 1,685 answered, 0 rejected');
  } finally {
    serving.child.kill('SIGKILL');
  }
  return (JSON.parse(trained.stdout) as { modelId: string }).modelId;
}
