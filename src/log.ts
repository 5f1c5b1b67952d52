import { type Logger, pino } from 'pino';

export type { Logger };

/** Structured logs on stderr, so that stdout stays free for results. Level from `ML4T_LOG_LEVEL`, default `warn`. Never pass payloads or secrets. */
export function createLogger(level: string = process.env.ML4T_LOG_LEVEL ?? 'warn'): Logger {
  return pino({ name: 'ml4t', level }, pino.destination({ dest: 2, sync: true }));
}
