import { setTimeout as pause } from 'node:timers/promises';
import type { BusClient, BusInput } from '../bus/message-bus.js';
import { type Clock, NS_PER_MS } from '../clock.js';
import { OrchestratorError } from '../errors.js';

/** Messages on their way at once. */
const TOGETHER = 500;
/** Between two tries to reach the server. */
const RETRY_MS = 200;

export interface SendOptions {
  readonly clock: Clock;
  /** An outage that lasts longer ends it. */
  readonly giveUpMs: number;
  readonly onConfirmed: (message: BusInput) => void;
  /** An outage has begun, with what is known of its cause. */
  readonly onOutage: (reason: string) => void;
}

/**
 * Sends the messages in their order, many at a time. What was not confirmed when the connection broke is sent again, in order, before anything new; the bus may have it twice, and knows bars and signal
 * ids again. Resolves with the number that was sent again. Rejects with BUS_UNAVAILABLE when the server cannot be reached for the first message, or not for too long.
 */
export async function sendInOrder(
  client: Pick<BusClient, 'send'>,
  messages: Iterable<BusInput>,
  options: SendOptions,
): Promise<number> {
  const rest = messages[Symbol.iterator]();
  let unconfirmed = taken(rest, TOGETHER);
  let sentAgain = 0;
  let confirmedNs: number | null = null;
  let isOut = false;
  while (unconfirmed.length > 0) {
    const results = await Promise.allSettled(unconfirmed.map((message) => client.send(message)));
    const failure = results.find((result) => result.status === 'rejected')?.reason as unknown;
    for (const [index, { status }] of results.entries()) {
      if (status === 'fulfilled') options.onConfirmed(unconfirmed[index]!);
    }
    if (results.some(({ status }) => status === 'fulfilled')) confirmedNs = options.clock.monotonicNs();
    unconfirmed = unconfirmed.filter((_message, index) => results[index]!.status === 'rejected');
    if (unconfirmed.length === 0) {
      isOut = false;
      unconfirmed = taken(rest, TOGETHER);
      continue;
    }
    if (!(failure instanceof OrchestratorError && failure.code === 'BUS_UNAVAILABLE')) throw failure;
    const isFirst = confirmedNs === null;
    if (isFirst || options.clock.monotonicNs() - confirmedNs! > options.giveUpMs * NS_PER_MS) throw failure;
    if (!isOut) {
      options.onOutage(failure.message);
      sentAgain += unconfirmed.length;
    }
    isOut = true;
    await pause(RETRY_MS);
  }
  return sentAgain;
}

function taken<T>(from: Iterator<T>, count: number): T[] {
  const items: T[] = [];
  while (items.length < count) {
    const { done, value } = from.next();
    if (done === true) break;
    items.push(value);
  }
  return items;
}
