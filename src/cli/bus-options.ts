import { type Command, Option } from 'commander';
import { hasServer } from '../bus/redis/redis-client.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../config.js';
import { OrchestratorError } from '../errors.js';

/** Which bus is meant. */
export interface BusOptions {
  /** true: the server that the configuration names. */
  redis?: string | true;
  partition?: string;
  mode?: 'streams' | 'pubsub';
  dialect?: 'plain' | 'nautilus-v1' | 'nautilus-v2';
  encoding?: 'json' | 'msgpack';
  config?: string;
}

/** What is kept off a bus whatever the configuration says. */
export const NO_BUS = { url: null, cluster: [] } as const;

const DETAILS = ['partition', 'mode', 'dialect', 'encoding'] as const;

export function addBusOptions(command: Command): Command {
  return command
    .option(
      '--redis [url]',
      'the server; without a URL the configured one, so that a password need not stand on a command line',
    )
    .option('--partition <name>', 'part of the instruments that one process serves (default: 0)')
    .addOption(
      new Option('--mode <mode>', 'how messages travel (default: streams, exactly once)').choices([
        'streams',
        'pubsub',
      ]),
    )
    .addOption(
      new Option('--dialect <dialect>', 'how they are written (default: plain)').choices([
        'plain',
        'nautilus-v1',
        'nautilus-v2',
      ]),
    )
    .addOption(new Option('--encoding <encoding>', 'of what is sent (default: json)').choices(['json', 'msgpack']));
}

/** The configuration with the bus that the options name. Throws USAGE where no server is named anywhere, and what is wrong with the configuration. */
export function busConfigOf(options: BusOptions, extra: OrchestratorConfigInput = {}): OrchestratorConfig {
  const { redis: url, config: file } = options;
  const details = Object.fromEntries(
    DETAILS.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
  const config = OrchestratorConfig.load({
    ...(file === undefined ? {} : { file }),
    environment: process.env,
    // A server that is named takes the place of a cluster that is configured.
    overrides: { ...extra, redis: { ...(typeof url === 'string' && { url, cluster: [] }), ...details } },
  });
  if (!hasServer(config.redis)) {
    const message = 'no Redis server is named: give --redis URL, redis.url in --config FILE or ML4T_REDIS__URL';
    throw new OrchestratorError('USAGE', message, { field: 'redis' });
  }
  return config;
}

/** Options that mean something with a bus alone, by the names they are written with. */
const BUS_ONLY: Readonly<Record<string, string>> = {
  ...Object.fromEntries(DETAILS.map((name) => [name, name])),
  dataDir: 'data-dir',
  modelDir: 'model-dir',
};

/** Throws USAGE for an option that says something about a bus where none is asked for. */
export function checkNoBus(options: Readonly<Record<string, unknown>>): void {
  const field = Object.keys(BUS_ONLY).find((name) => options[name] !== undefined);
  if (field !== undefined) throw new OrchestratorError('USAGE', `--${BUS_ONLY[field]} goes with --redis`, { field });
}
