import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';

/** A process of this folder, and the lines it has printed. */
export interface Spawned {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly errors: string[];
  /** Resolves once it has printed a line that begins so. */
  printed(start: string): Promise<string>;
  /** Ends it as a crash would, or waits for its own end. */
  kill(): Promise<void>;
  ended(): Promise<number | null>;
}

/** Runs `name` of this folder with Node; `limit` is put before it, for a shell to obey. */
export function spawnSupport(name: string, args: readonly string[], limit = ''): Spawned {
  const path = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const command = `${limit} exec "$0" "$@"`;
  const child = spawn('bash', ['-c', command, process.execPath, path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  // Its exit may be known before its last lines are: 'close' comes after both.
  let isClosed = false;
  const end = once(child, 'close').then(() => {
    isClosed = true;
  });
  const [lines, errors] = [linesOf(child.stdout), linesOf(child.stderr)];
  const found = (start: string): string | undefined => lines.find((line) => line.startsWith(start));
  return {
    child,
    lines,
    errors,
    printed: async (start) => {
      await eventually(() => found(start) !== undefined || isClosed, `'${start}' from ${name}`);
      const line = found(start);
      if (line === undefined) throw new Error(`${name} ended without '${start}': ${errors.join('\n')}`);
      return line;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await end;
    },
    ended: async () => {
      await end;
      return child.exitCode;
    },
  };
}

function linesOf(stream: NodeJS.ReadableStream): string[] {
  const lines: string[] = [];
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!;
    lines.push(...parts);
  });
  return lines;
}
