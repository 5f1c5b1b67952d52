/** How much the tests do. `ML4T_TEST_SIZE=full` runs them whole. */
const full = process.env.ML4T_TEST_SIZE === 'full';

/** Random cases of one property. */
export const PROPERTY_RUNS = full ? 1000 : 100;
/** Random rows on which the scorer must equal ml-xgboost, for every model. */
export const SCORER_ROWS = full ? 10_000 : 1500;
/** Random bit flips a model file must survive. */
export const BIT_FLIPS = full ? 20_000 : 1000;
/** Simulated markets of 120,000 bars over which what can be predicted is measured. */
export const SIMULATED_MARKETS = full ? 8 : 2;
