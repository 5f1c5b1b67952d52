import type { RedisCommand, RedisConnection, RedisFailure } from './redis-client.js';

/** What the server said to one command, or why it said nothing of use. Must not throw. */
export type OnReply = (reply: unknown | RedisFailure) => void;

/** Commands that leave together: those of one turn of the event loop in one write, in their order. */
export class Outbox {
  private commands: RedisCommand[] = [];
  private listeners: OnReply[] = [];
  private sendingCount = 0;
  private waiting: (() => void)[] = [];

  constructor(private readonly connection: RedisConnection) {}

  /** `onReply` is called once. */
  push(command: RedisCommand, onReply: OnReply): void {
    this.listeners.push(onReply);
    if (this.commands.push(command) === 1) setImmediate(() => void this.send());
  }

  /** Resolves when everything pushed so far has its reply, or never will. */
  async flushed(): Promise<void> {
    if (this.isFlushed) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private get isFlushed(): boolean {
    return this.commands.length === 0 && this.sendingCount === 0;
  }

  private async send(): Promise<void> {
    const { commands, listeners } = this;
    this.commands = [];
    this.listeners = [];
    this.sendingCount++;
    const replies = await this.connection.batch(commands);
    for (let k = 0; k < listeners.length; k++) listeners[k]!(replies[k]);
    this.sendingCount--;
    if (this.isFlushed) for (const resolve of this.waiting.splice(0)) resolve();
  }
}
