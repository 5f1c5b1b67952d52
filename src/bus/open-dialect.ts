import type { OrchestratorConfig } from '../config.js';
import type { Dialect } from './dialect.js';
import { openNautilusV1 } from './nautilus-v1.js';
import { openNautilusV2 } from './nautilus-v2.js';
import { openPlainDialect } from './plain-dialect.js';

/** The configured dialect. */
export function openDialect(config: Pick<OrchestratorConfig, 'redis' | 'userFeatures'>): Dialect {
  switch (config.redis.dialect) {
    case 'plain':
      return openPlainDialect(config);
    case 'nautilus-v1':
      return openNautilusV1(config);
    case 'nautilus-v2':
      return openNautilusV2(config);
  }
}
