import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import type { BusReply } from '../bus/message-bus.js';
import { openBusClient, type StrategyClient } from '../bus/open-client.js';
import { systemClock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import { OrchestratorError } from '../errors.js';
import { createLogger } from '../log.js';
import { addBusOptions, type BusOptions, busConfigOf } from './bus-options.js';
import { aborted, interruptionOrEndOfStdout } from './interruption.js';
import { addMarketOptions, type MarketOptions, primaryOf, simulatedSource, sourceOf } from './job-options.js';
import { marketMessages } from './market-messages.js';
import { loadPrimary, openMarket } from './market-source.js';
import { count, toJson } from './render.js';
import { printable, renderReply, replyJson } from './render-bus.js';
import { sendInOrder } from './send-in-order.js';
import { positive, type SignalInput, signalOf, wholeNumber } from './signal-input.js';

const MS_PER_S = 1000;
const WAIT_S = 10;
const CONFIG = ['--config <file>', 'configuration as JSON; ML4T_… variables go over it'] as const;

interface BarsOptions extends BusOptions, MarketOptions {
  from: number;
  limit?: number;
  timeout: number;
  json: boolean;
}

/** `send-signal`, `send-bars` and `tail`: a strategy's end of a bus, by hand. `print` puts a line on stdout. */
export function addBusCommands(program: Command, print: (text: string) => void): void {
  addBusOptions(program.command('send-signal'))
    .description('send one signal to whoever serves the partition')
    .requiredOption('--instrument <id>', 'the instrument it is about')
    .requiredOption('--side <side>', '-1, 0 or 1')
    .option('--timestamp <instant>', 'when it was decided: ISO 8601, or an integer in s, ms, us or ns (default: now)')
    .option('--id <id>', 'the same id is answered once (default: a new one)')
    .option('--feature <name=value...>', 'features of your own, as the configuration declares them')
    .option(
      '--wait [seconds]',
      `print the reply; exit code 1 when it is a rejection or does not come (default: ${WAIT_S})`,
    )
    .option(...CONFIG)
    .option('--json', 'the reply as JSON', false)
    .action((options: BusOptions & SignalInput & { wait?: string | true; json: boolean }) =>
      sendSignal(options, print),
    );
  addMarketOptions(addBusOptions(program.command('send-bars')))
    .description('send bars in order, and after each the signals decided by then')
    .argument('[file]', 'bars as CSV, gzip allowed; or --market simulated')
    .option('--from <bar>', 'number of the first bar that is sent', Number, 0)
    .option('--limit <count>', 'send so many bars (default: all)', Number)
    .option('--timeout <seconds>', 'give up when the server is away for so long', Number, 30)
    .option(...CONFIG)
    .option('--json', 'the counts as JSON', false)
    .action((file: string | undefined, options: BarsOptions) => sendBars(file, options, print));
  addBusOptions(program.command('tail'))
    .description('print every reply of the partition, until SIGINT or while somebody reads')
    .option('--from-start', 'begin with the oldest reply that is kept', false)
    .option('--count <n>', 'end after so many', Number)
    .option(...CONFIG)
    .option('--json', 'a JSON document a line', false)
    .action((options: BusOptions & { fromStart: boolean; count?: number; json: boolean }) => tail(options, print));
}

async function sendSignal(
  options: BusOptions & SignalInput & { wait?: string | true; json: boolean },
  print: (text: string) => void,
): Promise<void> {
  const event = signalOf(options, systemClock);
  const { signalId } = event;
  const { wait, json } = options;
  const seconds = wait === undefined || wait === true ? WAIT_S : positive('wait', Number(wait));
  await withClient(busConfigOf(options), async (client) => {
    const send = async (): Promise<void> => client.send({ kind: 'signal', event });
    if (wait === undefined) {
      await send();
      print(json ? toJson({ signalId }) : printable(`sent signal ${signalId}`));
      return;
    }
    const reply = await within(seconds, signalId, async (onReply) => {
      await client.listen((one) => {
        if (idOf(one) === signalId) onReply(one);
      });
      await send();
      await client.failed;
    });
    print(json ? replyJson(reply) : renderReply(reply));
    if (reply.kind === 'rejected') process.exitCode = 1;
  });
}

/** The reply that the work brings. Rejects with BUS_UNAVAILABLE when it does not come in time. */
async function within(
  seconds: number,
  signalId: string,
  work: (onReply: (reply: BusReply) => void) => Promise<void>,
): Promise<BusReply> {
  const over = new AbortController();
  const late = pause(seconds * MS_PER_S, undefined, { signal: over.signal }).then(() => {
    const message = `signal ${printable(signalId)} has no reply after ${seconds} s: nobody serves the partition`;
    throw new OrchestratorError('BUS_UNAVAILABLE', message);
  });
  const replied = new Promise<BusReply>((resolve, reject) => {
    work(resolve).catch(reject);
  });
  try {
    return await Promise.race([replied, late]);
  } finally {
    over.abort();
    late.catch(() => undefined);
  }
}

function idOf(reply: BusReply): string | null {
  return reply.kind === 'enriched' ? reply.answer.signalId : reply.rejection.signalId;
}

async function sendBars(file: string | undefined, options: BarsOptions, print: (text: string) => void): Promise<void> {
  const from = wholeNumber('from', options.from, 0);
  const limit = options.limit === undefined ? Number.POSITIVE_INFINITY : wholeNumber('limit', options.limit, 1);
  const giveUpMs = positive('timeout', options.timeout) * MS_PER_S;
  if ((file === undefined) === (options.market === undefined)) {
    throw new OrchestratorError('USAGE', 'name a file of bars or --market simulated', { field: 'file' });
  }
  const config = busConfigOf(options);
  const isEndless = options.market !== undefined && Number.isFinite(limit);
  const source = isEndless ? simulatedSource(options, from + limit) : sourceOf({ ...options, bars: file ?? '' });
  const market = await openMarket(source);
  const instrumentId = options.instrument ?? market.instrumentId;
  const schedule = options.primary === undefined ? null : await loadPrimary(primaryOf(options, source), market);
  const end = Math.min(market.bars.length, from + limit);
  const counts = { bars: 0, signals: 0, sentAgain: 0 };
  await withClient(config, async (client) => {
    counts.sentAgain = await sendInOrder(client, marketMessages(instrumentId, market.bars, schedule, from, end), {
      clock: systemClock,
      giveUpMs,
      onConfirmed: ({ kind }) => counts[kind === 'bar' ? 'bars' : 'signals']++,
      onOutage: (reason) => process.stderr.write(`ml4t: the server is away, trying again: ${printable(reason)}\n`),
    });
  }).finally(() => {
    const { bars, signals, sentAgain } = counts;
    const again = sentAgain === 0 ? '' : `; ${count(sentAgain)} sent again after an outage`;
    print(
      options.json
        ? toJson(counts)
        : printable(`sent ${count(bars)} bars and ${count(signals)} signals of ${instrumentId}${again}`),
    );
  });
}

async function tail(
  options: BusOptions & { fromStart: boolean; count?: number; json: boolean },
  print: (text: string) => void,
): Promise<void> {
  const limit = options.count === undefined ? Number.POSITIVE_INFINITY : wholeNumber('count', options.count, 1);
  const stop = interruptionOrEndOfStdout(systemClock);
  await withClient(busConfigOf(options), async (client) => {
    let printed = 0;
    const enough = new AbortController();
    const onReply = (reply: BusReply): void => {
      if (printed === limit || stop.aborted) return;
      printed++;
      print(options.json ? replyJson(reply) : renderReply(reply));
      if (printed === limit) enough.abort();
    };
    const listening = options.fromStart ? client.listenFromStart(onReply) : client.listen(onReply);
    // Pub/sub waits for a server that is away; whoever interrupts does not.
    await Promise.race([listening, aborted(stop)]);
    await Promise.race([aborted(stop), aborted(enough.signal), client.failed]);
  });
}

async function withClient<T>(config: OrchestratorConfig, work: (client: StrategyClient) => Promise<T>): Promise<T> {
  const client = openBusClient(config, createLogger(process.env.ML4T_LOG_LEVEL ?? 'error'));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
