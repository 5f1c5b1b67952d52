import type { RedisCommand, RedisConnection } from './redis-client.js';

interface Letter {
  readonly command: RedisCommand;
  readonly onReply: (reply: unknown) => void;
}

/** Commands that leave together: those of one turn of the event loop in one write, in their order. */
export class Outbox {
  private letters: Letter[] = [];
  private sendingCount = 0;
  private waiting: (() => void)[] = [];

  /** `onFailure`: the connection broke, or a command was refused, or its reply makes no sense. */
  constructor(
    private readonly connection: RedisConnection,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  /** `onReply` is called with what the server says, unless it refuses. It may throw, which is a failure. */
  push(command: RedisCommand, onReply: (reply: unknown) => void): void {
    if (this.letters.push({ command, onReply }) === 1) setImmediate(() => void this.send());
  }

  /** Resolves when everything pushed so far has its reply, or never will. */
  async flushed(): Promise<void> {
    if (this.letters.length === 0 && this.sendingCount === 0) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private async send(): Promise<void> {
    const { letters } = this;
    this.letters = [];
    this.sendingCount++;
    try {
      const replies = await this.connection.batch(letters.map(({ command }) => command));
      for (const [k, { onReply }] of letters.entries()) {
        const reply = replies[k];
        if (reply instanceof Error) throw reply;
        onReply(reply);
      }
    } catch (error) {
      this.onFailure(error);
    }
    this.sendingCount--;
    if (this.letters.length === 0 && this.sendingCount === 0) for (const resolve of this.waiting.splice(0)) resolve();
  }
}
