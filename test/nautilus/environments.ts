import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../support/readme.js';

/**
 * Python environments with pinned NautilusTrader wheels, one a version, kept in the user's cache under the hash of what is pinned: a checkout that is made anew finds them.
 */
export const NAUTILUS_MAJORS = [1, 2] as const;
export type NautilusMajor = (typeof NAUTILUS_MAJORS)[number];

/** The Python of an environment, or why there is none. */
export type Environment =
  | { readonly kind: 'ready'; readonly python: string }
  /** A release candidate that is no longer served: nobody's fault. */
  | { readonly kind: 'not-served'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

const PYTHON_SERIES = '3.12';
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ml4t-orchestrator', 'python');
const NOT_SERVED = /No matching distribution found for nautilus[_-]trader/i;
const NO_NETWORK = /NewConnectionError|ConnectTimeout|Name or service not known|name resolution|connection broken/i;

/** A Python of the series that NautilusTrader's wheels are pinned for: in PATH or one of pyenv's; null when there is none. */
export function findPython(): string | null {
  const candidates = [`python${PYTHON_SERIES}`, 'python3', ...pyenvPythons()];
  return candidates.find((path) => seriesOf(path) === PYTHON_SERIES) ?? null;
}

/** Builds it where it is not there yet. Never rejects. */
export async function openEnvironment(python: string, major: NautilusMajor): Promise<Environment> {
  const requirements = join(ROOT, `test/nautilus/requirements-v${major}.txt`);
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const directory = join(CACHE, hash);
  const ready: Environment = { kind: 'ready', python: join(directory, 'bin/python') };
  const mark = join(directory, 'complete');
  if (existsSync(mark)) return ready;
  try {
    // What an interrupted build left behind.
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(CACHE, { recursive: true });
    await run(python, ['-m', 'venv', directory]);
    const options = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
    await run(ready.python, ['-m', 'pip', 'install', ...options, '-r', requirements]);
    writeFileSync(mark, '');
    return ready;
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    const reason = error instanceof Error ? error.message : String(error);
    const isGone = major === 2 && NOT_SERVED.test(reason) && !NO_NETWORK.test(reason);
    return { kind: isGone ? 'not-served' : 'failed', reason };
  }
}

const run = promisify(execFile);

function pyenvPythons(): string[] {
  try {
    const root = execFileSync('pyenv', ['root'], { encoding: 'utf8' }).trim();
    return readdirSync(join(root, 'versions')).map((version) => join(root, 'versions', version, 'bin/python'));
  } catch {
    // No pyenv here.
    return [];
  }
}

function seriesOf(python: string): string | null {
  const code = 'import sys; print("%d.%d" % sys.version_info[:2])';
  const { status, stdout } = spawnSync(python, ['-c', code], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}
