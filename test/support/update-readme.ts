import { readFileSync, writeFileSync } from 'node:fs';
import { README, realOutput, withOutput } from './readme.js';

writeFileSync(README, withOutput(readFileSync(README, 'utf8'), realOutput()));
