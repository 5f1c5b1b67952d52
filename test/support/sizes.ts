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
/** Windows a racing reader must take as whole, none of which may be torn. */
export const RACE_WINDOWS = full ? 1_000_000 : 100_000;
/** Requests passed from one thread to another in order. */
export const RING_REQUESTS = full ? 2_000_000 : 200_000;
/** Times a worker is caught between its last look and its sleep, for each reason to wake. */
export const SLEEP_ROUNDS = full ? 20_000 : 500;
/** Times main arms the bell and waits for it. */
export const BELL_ROUNDS = full ? 200_000 : 10_000;
/** Models published while two threads read. */
export const RACE_PUBLISHES = full ? 1_000_000 : 30_000;
/** Random sets of signals that every way of dispatch must answer with the same bits. */
export const ORACLE_RUNS = full ? 300 : 30;
/** Bars that arrive while the signals of one drill are on their way. */
export const ARRIVING_BARS = full ? 5000 : 600;
/** Random interleavings of bursts, singles, flats and batches per way of dispatch. */
export const INTERLEAVINGS = full ? 300 : 25;
/** Signals of a batch that runs beside live signals. */
export const BATCH_SIGNALS = full ? 50_000 : 8000;
/** Signals that are answered while models swap. */
export const SWAP_SIGNALS = full ? 1_000_000 : 100_000;
/** Swaps under those signals. */
export const SWAPS = full ? 10_000 : 1000;
/** Runs of which the median worst lateness of a timer counts. */
export const LATENESS_RUNS = full ? 15 : 5;
/** Signals under which inference threads break, in each of four pools. */
export const FAULT_SIGNALS = full ? 50_000 : 5000;
/** Signals refused while there is no room, after which memory must not have grown. */
export const REFUSALS = full ? 500_000 : 50_000;
/** Rounds in which deadlines, held workers and answers mix. */
export const MIXED_ROUNDS = full ? 5000 : 300;
/** False alarms over which the labels between them are averaged, for each overlap. */
export const FALSE_ALARMS = full ? 4000 : 600;
/** Finite histories on which detectors are calibrated. */
export const DETECTOR_HISTORIES = full ? 200 : 30;
/** Drifts after each of which the delay of the first alarm is measured. */
export const DRIFT_RUNS = full ? 2000 : 200;
/** Stretches without drift in which a rule may alarm falsely. */
export const STATIONARY_STRETCHES = full ? 1000 : 100;
/** Random markets whose live outcomes must be the bits of their batch labels. */
export const OUTCOME_REPLAYS = full ? 5000 : 200;
/** Random lives of a ledger, with users, restarts and silence, checked against a model that looks everything up. */
export const LEDGER_LIVES = full ? 5000 : 200;
/** Simulated years of 24 promotion tests between models that are equally good. */
export const EQUAL_YEARS = full ? 500 : 15;
/** Promotion tests of which the share promoted is measured. */
export const POWER_RUNS = full ? 400 : 50;
/** Runs of two models after a promotion, until the evidence rolls the new one back. */
export const ROLLBACK_RUNS = full ? 500 : 40;
/** Processes that are killed while they write their state. */
export const STATE_KILLS = full ? 200 : 6;
/** Copies of a store that are cut short, and copies in which one byte is changed. */
export const STATE_DAMAGES = full ? 2000 : 20;
/** Bars that are fed without a pause, of a feature store whose ring holds far fewer. */
export const UNPAUSED_BARS = full ? 1_000_000 : 50_000;
/** Random series of runs, each of which goes on from what the one before has stored. */
export const STATE_RESTARTS = full ? 200 : 6;
/** Processes killed with -9 in a busy run, and the minutes of market that one plays. */
export const CRASH_KILLS = full ? 100 : 10;
export const CRASH_MINUTES = full ? 600 : 300;
/** How long after the last operation on a model's file a process is killed: in a commit, before it or after it. */
export const COMMIT_KILLS_MS: readonly number[] = full ? Array.from({ length: 40 }, (_, k) => k / 2) : [4];
/** Whether tests run that take a minute each: hundreds of megabytes that wait for a full disk. */
export const FULL_SIZE = full;
/** Random traffics that every bus is put through, each on a bus of its own. */
export const BUS_RUNS = full ? 500 : 40;
/** Faults between a strategy and its answers over Redis, in each of two drills. */
export const REDIS_FAULTS = full ? 44 : 6;
/** Owners of a partition that are killed while another process waits. */
export const OWNER_KILLS = full ? 10 : 2;
/** Malformed and hostile messages, between which valid ones are answered. */
export const HOSTILE_MESSAGES = full ? 10_000 : 2000;
/** Minutes in which signals are written before or after the bars that they were made from, and owners are killed between. */
export const DUE_BAR_MINUTES = full ? 600 : 40;
/** Markets of every kind in which the look-ahead alarm must neither err nor miss. */
export const LOOK_AHEAD_MARKETS = full ? 200 : 4;
