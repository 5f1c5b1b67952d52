import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import { ROOT } from './readme.js';
import { RedisServer } from './redis-server.js';

const MAIN = join(ROOT, 'dist/src/cli/main.js');
/** Where the README says that Redis listens. */
const SHOWN_URL = 'redis://127.0.0.1:6379';
const SECRETIVE = { ...process.env, ML4T_LOG_LEVEL: 'silent' };

const SERVE = 'run --redis URL --market simulated';
const TAIL = 'tail --redis URL';
const SENDS = [
  'send-bars --redis URL --market simulated --from 28000 --limit 2000',
  'send-bars --redis URL --market simulated --from 30000 --limit 5 --primary momentum',
  'send-signal --redis URL --instrument simulated --side -1 --timestamp 2023-12-05T18:19:30Z --id by-hand --wait',
];
/** Five signals of the bars, and the one by hand. */
const REPLIES = 6;

/** A command that runs, and the lines it has printed. */
export class Running {
  readonly lines: string[] = [];
  errors = '';
  private isOver = false;
  private readonly end: Promise<void>;

  private constructor(readonly child: ChildProcess) {
    let rest = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop()!;
      this.lines.push(...parts);
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    this.end = once(child, 'close').then(() => {
      this.isOver = true;
    });
  }

  static start(parameters: readonly string[], environment: NodeJS.ProcessEnv = SECRETIVE): Running {
    const child = spawn(process.execPath, [MAIN, ...parameters], {
      cwd: ROOT,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Running(child);
  }

  /** Resolves once so many lines hold the text; fails when the command ends before. */
  async printed(text: string, count = 1): Promise<void> {
    const isPrinted = (): boolean => this.lines.filter((line) => line.includes(text)).length >= count;
    await eventually(() => isPrinted() || this.isOver, `'${text}' in ${JSON.stringify(this.lines)}`);
    if (!isPrinted()) throw new Error(`ended without '${text}': ${this.lines.join('\n')}${this.errors}`);
  }

  /** The exit code; null when a signal ended it. */
  async ended(): Promise<number | null> {
    await this.end;
    return this.child.exitCode;
  }

  async interrupted(): Promise<number | null> {
    this.child.kill('SIGINT');
    return this.ended();
  }
}

/** Resolves once so many readers of replies wait at the server. */
export async function tailing(server: RedisServer, count = 1): Promise<void> {
  const waiting = async (): Promise<number> =>
    String(await server.command('CLIENT', 'LIST')).match(/name=ml4t:listener.* cmd=xread /g)?.length ?? 0;
  while ((await waiting()) < count);
}

/** The three terminals of the README, as they really go, at a server of their own. */
export async function playSession(): Promise<string> {
  const server = await RedisServer.start();
  const words = (command: string): string[] => command.replace('URL', server.url).split(' ');
  const shown = (command: string, lines: readonly string[]): string =>
    [`$ npx ml4t ${command.replace('URL', SHOWN_URL)}`, ...lines].join('\n').replaceAll(server.url, SHOWN_URL);
  const serving = Running.start(words(SERVE));
  try {
    await serving.printed('bus up');
    const tail = Running.start(words(TAIL));
    await tailing(server);
    const sent: string[] = [];
    for (const command of SENDS) {
      const running = Running.start(words(command));
      if ((await running.ended()) !== 0) throw new Error(running.errors);
      sent.push(shown(command, running.lines));
    }
    await tail.printed('P(correct)', REPLIES);
    await tail.interrupted();
    if ((await serving.interrupted()) !== 0) throw new Error(serving.errors);
    const stopped = serving.lines.pop()!;
    const first = shown(SERVE, [...serving.lines, '^C', stopped]);
    return [
      `# terminal 1: serves\n${first}`,
      `# terminal 2: listens\n${shown(TAIL, [...tail.lines, '^C'])}`,
      `# terminal 3: sends\n${sent.join('\n')}`,
    ].join('\n\n');
  } finally {
    serving.child.kill('SIGKILL');
    await server.stop();
  }
}
