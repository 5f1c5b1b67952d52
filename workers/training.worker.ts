import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { invariant } from '../src/invariant.js';
import { trainingService } from '../src/training/training-service.js';

invariant(parentPort !== null, 'the training worker runs on a thread of its own');
expose(trainingService, nodeEndpoint(parentPort));
