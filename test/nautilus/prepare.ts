import { findPython, NAUTILUS_MAJORS, openEnvironment } from './environments.js';

/** Builds the environments ahead of the tests that need them, beside other tests. Always ends with 0: those tests say what is missing. */
const python = findPython();
if (python === null) console.log('no Python 3.12');
else {
  for (const major of NAUTILUS_MAJORS) {
    const environment = await openEnvironment(python, major);
    console.log(`NautilusTrader ${major}: ${environment.kind} ${'reason' in environment ? environment.reason : ''}`);
  }
}
