import { test } from 'uvu';
import { InProcessBus } from '../../src/bus/in-process-bus.js';
import { messageBusContract } from './message-bus.js';

messageBusContract({
  name: 'in-process',
  canPushBack: true,
  givesBack: 'none',
  keepsUnanswered: false,
  open: async (target) => {
    const bus = new InProcessBus({ target, queueMax: 4 });
    bus.start();
    const another = () => bus.client();
    return { bus, client: bus.client(), another, close: () => bus.stop() };
  },
});

test.run();
