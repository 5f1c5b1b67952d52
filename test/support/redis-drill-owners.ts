import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDialect } from '../../src/bus/open-dialect.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { eventually } from './eventually.js';
import { checkStreams, expectedReplies, type Replies, type StreamFindings } from './redis-drill-check.js';
import { type DrillMessage, drillMessages, WARM_MESSAGES } from './redis-drill-input.js';
import { withModel } from './redis-drill-models.js';
import { DrillProcess } from './redis-drill-processes.js';
import { readStreams } from './redis-drill-streams.js';
import type { RedisServer } from './redis-server.js';

/** Several processes on one partition and a strategy that sends as far as it is told, on a server that the test owns. */
export class RedisOwners {
  private readonly processes: DrillProcess[] = [];
  private allowed = 0;

  private constructor(
    private readonly root: string,
    private readonly server: RedisServer,
    private readonly config: OrchestratorConfigInput,
    private readonly messages: readonly DrillMessage[],
    private readonly expected: Replies,
    private readonly producer: DrillProcess,
  ) {
    this.processes.push(producer);
  }

  /** `more`: messages after those that fill the windows. */
  static async prepare(
    server: RedisServer,
    more: number,
    seed: number,
    producerUrl = server.url,
  ): Promise<RedisOwners> {
    const root = mkdtempSync(join(tmpdir(), 'ml4t-redis-owners-'));
    const messages = drillMessages(WARM_MESSAGES + more, seed);
    const config = { ...(await withModel(root, 'model', false)), dispatch: 'inline' } as const;
    const expected = await expectedReplies(messages, config);
    const args = [producerUrl, `${messages.length}`, `${seed}`, join(root, 'sent')];
    return new RedisOwners(root, server, config, messages, expected, DrillProcess.start('redis-producer-child', args));
  }

  get signals(): number {
    return this.expected.size;
  }

  /** A process that serves the partition, or stands by. */
  start(redis: OrchestratorConfigInput['redis'] = {}): DrillProcess {
    const config = { ...this.config, redis: { url: this.server.url, ...redis } };
    const started = DrillProcess.start('redis-orchestrator-child', [JSON.stringify(config)]);
    this.processes.push(started);
    return started;
  }

  /** Has so many more messages sent; all of them by default. Resolves when they are. */
  async send(count = this.messages.length): Promise<void> {
    this.allowed = Math.min(this.allowed + count, this.messages.length);
    this.producer.tell(`${this.allowed}`);
    await eventually(() => this.sent >= this.allowed, `${this.allowed} messages sent`);
  }

  /** Writes the rest in one command, so that an owner that waits is given much of it at once. The producer has nothing left to do. */
  async sendRestAtOnce(): Promise<void> {
    const dialect = openDialect(OrchestratorConfig.parse());
    const rest = this.messages.slice(this.sent).map(({ input }) => Buffer.from(dialect.encodeInput(input).payload));
    const script = "for _, payload in ipairs(ARGV) do redis.call('XADD', KEYS[1], '*', 'payload', payload) end";
    await this.server.command('EVAL', script, 1, 'ml4t:{0}:in', ...rest);
  }

  /** Resolves when some of what may be sent is. */
  async sending(): Promise<void> {
    const from = this.producer.lines.length;
    await eventually(() => this.producer.lines.length >= from + 3 || this.sent >= this.allowed, 'messages being sent');
  }

  /** What the streams of a server hold, compared with what they must when everything has been sent and answered. */
  async check(server = this.server): Promise<StreamFindings> {
    return checkStreams(await readStreams(server), this.messages, this.expected);
  }

  private get sent(): number {
    return Number(this.producer.lines.findLast((line) => line.startsWith('sent'))?.split(' ')[1] ?? 0);
  }

  async close(): Promise<void> {
    await Promise.all(this.processes.map((one) => one.kill()));
    rmSync(this.root, { recursive: true });
  }
}
