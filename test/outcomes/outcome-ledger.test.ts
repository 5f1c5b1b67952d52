import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bar } from '../../src/market/bar.js';
import type { OutcomeEvent } from '../../src/market/events.js';
import type { SuppliedOutcome } from '../../src/outcomes/outcome-event.js';
import { CLOSED_IDS } from '../../src/outcomes/outcome-ledger.js';
import { MINUTE_NS } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';
import { barAt, type LiveOptions, LiveRun, type Signal, type Told } from './live-run.js';

/** Bars whose range is 4 and whose close is 100, so that the ATR is 4: a long entered at 100 has its profit at 108 and its stop at 96. */
const STILL = [100, 102, 98, 100];
const QUIET = [100, 101, 99, 100];
const PROFIT = [100, 108, 99, 107];
const STOP = [100, 101, 96, 97];

/** An X with 20 such bars, whose signals are entered at their close and held for 3 bars. */
class Market extends LiveRun {
  private readonly minutes = new Map<string, number>();

  constructor(options: LiveOptions = {}, instruments: readonly string[] = ['X']) {
    super({ entry: 'signal-close', maxHoldingBars: 3, ...options });
    for (const id of instruments) for (let k = 0; k < 20; k++) this.row(STILL, id);
  }

  row(row: readonly number[], instrumentId = 'X'): void {
    this.bar(this.next(row, instrumentId), instrumentId);
  }

  rows(...rows: readonly (readonly number[])[]): void {
    for (const row of rows) this.row(row);
  }

  next(row: readonly number[], instrumentId = 'X', minutesLater = 1): Bar {
    const minute = (this.minutes.get(instrumentId) ?? -1) + minutesLater;
    this.minutes.set(instrumentId, minute);
    return barAt(minute, row);
  }
}

function outcomeOf(run: LiveRun, signal: Signal): OutcomeEvent {
  const told = run.lastOf(signal);
  if (told === undefined) throw new Error(`nothing was said of ${signal.signalId}`);
  return told.outcome;
}

test('a long that reaches its profit is resolved at once and closed with its horizon', () => {
  const run = new Market({ costBps: 100 });
  const signal = run.follow();
  run.row(QUIET);
  assert.equal(run.words, []);
  run.row(PROFIT);
  assert.equal(run.words, ['resolved s0']);
  assert.equal(run.told[0]!.outcome, {
    signalId: 's0',
    instrumentId: 'X',
    outcome: 'profit',
    source: 'barriers',
    metaLabel: 1,
    grossReturn: 108 / 100 - 1,
    netReturn: 108 / 100 - 1 - 0.01,
    grossR: (108 / 100 - 1) / (4 / 100),
    ambiguous: false,
    exitSequence: 21,
    exitNs: barAt(21, QUIET).tsEventNs,
  });
  assert.ok(run.ledger.isOpen('s0'));
  run.row(STOP);
  assert.equal(run.words, ['resolved s0', 'closed s0']);
  assert.is(run.told[1]!.outcome, run.told[0]!.outcome);
  assert.is(run.told[1]!.signal, signal, 'the signal comes back as it was given');
  assert.not.ok(run.ledger.isOpen('s0'));
});

test('a stop, a short, a timeout and a bar that holds both barriers end as the labels do', () => {
  const run = new Market();
  const long = run.follow();
  const short = run.follow({ side: -1 });
  run.row(STOP);
  assert.equal([outcomeOf(run, long).outcome, outcomeOf(run, long).grossR], ['stop', (96 / 100 - 1) / (4 / 100)]);
  run.rows(QUIET, [100, 101, 99, 99]);
  const timeout = outcomeOf(run, short);
  assert.equal([timeout.outcome, timeout.exitSequence, timeout.metaLabel], ['timeout', 22, 1]);
  assert.is(timeout.grossReturn, -(99 / 100 - 1));
  const both = new Market();
  const ambiguous = both.follow();
  both.row([100, 109, 95, 100]);
  assert.equal([outcomeOf(both, ambiguous).outcome, outcomeOf(both, ambiguous).ambiguous], ['stop', true]);
});

test('signals of one bar are resolved and closed by their own clocks, then by their ordinals, however they were answered', () => {
  const run = new Market();
  const { timestampNs } = run.signal();
  for (const [signalId, laterNs, ordinal] of [
    ['c', 5n, 7],
    ['b', 0n, 9],
    ['a', 0n, 8],
    ['d', 6n, 1],
  ] as const) {
    run.follow({ signalId, ordinal, timestampNs: timestampNs + laterNs });
  }
  // Those that were decided after the close are entered one bar later.
  run.rows(STOP, STOP, QUIET, QUIET);
  const words = (what: string, ...ids: string[]): string[] => ids.map((id) => `${what} ${id}`);
  const [early, late] = [
    ['a', 'b'],
    ['c', 'd'],
  ] as const;
  assert.equal(run.words, [
    ...words('resolved', ...early),
    ...words('resolved', ...late),
    ...words('closed', ...early),
    ...words('closed', ...late),
  ]);
});

test('a signal that was answered late is followed on the bars that came meanwhile', () => {
  const run = new Market();
  const late = run.signal();
  const later = run.signal();
  run.rows(QUIET, STOP);
  run.ledger.follow(late);
  assert.equal(run.words, ['resolved s0']);
  assert.is(outcomeOf(run, late).exitSequence, 21);
  run.rows(QUIET, QUIET);
  run.ledger.follow(later);
  assert.equal(run.words, ['resolved s0', 'closed s0', 'resolved s1', 'closed s1']);
  assert.is(run.ledger.openCount, 0);
  assert.is(outcomeOf(run, later).exitSequence, 21);
});

test('a signal followed between a bar and the word of it closes after the signals before it, and the bar counts once', () => {
  const run = new Market();
  run.follow();
  run.rows(QUIET, QUIET);
  const between = run.signal({ asOf: 19, timestampNs: 2n ** 62n });
  const index = run.publish(run.next(QUIET));
  run.ledger.follow(between);
  const words = ['resolved s0', 'resolved s1', 'closed s0', 'closed s1'];
  assert.equal(run.words, words);
  run.ledger.onBar(index, 22);
  assert.equal(run.words, words);
});

test('an id that is open is not followed again; once closed it may come again', () => {
  const run = new Market();
  const first = run.follow({ signalId: 'same' });
  run.row(QUIET);
  assert.is(run.ledger.follow(run.signal({ signalId: 'same', side: -1 })), false);
  assert.is(run.ledger.openCount, 1);
  run.rows(QUIET, QUIET);
  assert.equal(
    run.told.map(({ signal }) => signal),
    [first, first],
  );
  assert.is(run.ledger.follow(run.signal({ signalId: 'same', side: -1 })), true);
  assert.ok(run.ledger.isOpen('same'));
});

test('the floor is the smallest ordinal that is open', () => {
  const run = new Market();
  assert.is(run.ledger.floor(), null);
  run.follow({ ordinal: 12 });
  run.row(QUIET);
  run.follow({ ordinal: 10 });
  run.follow({ ordinal: 11 });
  assert.is(run.ledger.floor(), 10);
  run.rows(QUIET, QUIET);
  assert.is(run.ledger.floor(), 10);
  run.row(QUIET);
  assert.is(run.ledger.floor(), null);
});

test('the floor stays with a signal that outlasts thousands of others', () => {
  const run = new Market({ expiryNs: 10_000n * MINUTE_NS }, ['X', 'Y']);
  run.follow();
  for (let k = 0; k < 2000; k++) {
    run.follow({ instrumentId: 'Y' });
    run.row(QUIET, 'Y');
    assert.is(run.ledger.floor(), 0);
  }
  run.rows(QUIET, QUIET, QUIET);
  assert.is(run.ledger.floor(), 1999);
});

test('a signal from the far future is closed with the next bar, though earlier ones are always open', () => {
  const run = new Market();
  for (let k = 0; k < 50; k++) {
    run.follow();
    const wrong = run.follow({ timestampNs: 2n ** 62n });
    assert.ok(run.ledger.isOpen(wrong.signalId));
    run.row(QUIET);
    assert.not.ok(run.ledger.isOpen(wrong.signalId));
    assert.is(outcomeOf(run, wrong).outcome, 'censored');
    assert.ok(run.ledger.openCount <= 3, `${run.ledger.openCount} are open`);
  }
});

test('without volatility, without bars or with bars that are gone a signal is censored at once', () => {
  const run = new Market({ capacity: 64 });
  for (let k = 0; k < 15; k++) run.row([100, 100, 100, 100]);
  run.follow({ signalId: 'no volatility' });
  run.follow({ signalId: 'unknown instrument', instrumentId: 'Y' });
  for (let k = 0; k < 42; k++) run.row(STILL);
  run.follow({ signalId: 'window held', asOf: 28 });
  run.follow({ signalId: 'window gone', asOf: 27 });
  run.follow({ signalId: 'not stored', asOf: 77 });
  const words = ['no volatility', 'unknown instrument', 'window gone', 'not stored'];
  assert.equal(
    run.told
      .filter(({ outcome }) => outcome.outcome === 'censored')
      .map(({ what, signal }) => `${what} ${signal.signalId}`),
    words.flatMap((id) => [`resolved ${id}`, `closed ${id}`]),
  );
  assert.equal(run.told[0]!.outcome, {
    signalId: 'no volatility',
    instrumentId: 'X',
    outcome: 'censored',
    source: 'barriers',
    metaLabel: null,
    grossReturn: null,
    netReturn: null,
    grossR: null,
    ambiguous: false,
    exitSequence: -1,
    exitNs: 0n,
  });
  assert.is(run.ledger.openCount, 0);
});

test('an instrument without a bar for so long, while others go on, lets its signals expire; a label told early is withdrawn', () => {
  const run = new Market({ expiryNs: 10n * MINUTE_NS }, ['X', 'Y']);
  const early = run.follow();
  run.row(STOP);
  const unresolved = run.follow();
  const other = run.follow({ instrumentId: 'Y' });
  run.row(QUIET, 'Y');
  for (let k = 0; k < 9; k++) run.row(STILL, 'Y');
  assert.ok(run.ledger.isOpen(early.signalId));
  assert.is(outcomeOf(run, early).metaLabel, 0);
  run.row(STILL, 'Y');
  assert.equal(
    run.told
      .filter(({ signal }) => signal !== other)
      .map(({ what, signal, outcome }) => [what, signal, outcome.outcome]),
    [
      ['resolved', early, 'stop'],
      ['closed', early, 'expired'],
      ['resolved', unresolved, 'expired'],
      ['closed', unresolved, 'expired'],
    ],
  );
  assert.is(outcomeOf(run, early).metaLabel, null);
  assert.is(outcomeOf(run, other).outcome, 'timeout');
  const words = run.words.length;
  run.follow({ signalId: 'too late' });
  assert.equal(run.words.slice(words), ['resolved too late', 'closed too late']);
  assert.is(run.told.at(-1)!.outcome.outcome, 'expired');
  run.row(QUIET);
  run.follow({ signalId: 'alive' });
  assert.ok(run.ledger.isOpen('alive'));
});

test('an instrument whose own bar jumps ahead in time has not been quiet, and one that catches up does not expire', () => {
  const run = new Market({ expiryNs: 10n * MINUTE_NS }, ['X', 'Y']);
  run.follow();
  run.bar(run.next(QUIET, 'X', 500), 'X');
  assert.ok(run.ledger.isOpen('s0'), 'nobody else went on');
  run.row(QUIET, 'Y');
  const behind = run.follow({ instrumentId: 'Y' });
  for (let k = 0; k < 2; k++) run.row(QUIET, 'Y');
  assert.ok(run.ledger.isOpen(behind.signalId), 'its bars come, old as they are');
});

const GAIN: SuppliedOutcome = { outcome: 'profit', grossReturn: 0.02 };

test("the user's word resolves a signal, replaces what the barriers say and is judged by their rule", () => {
  const run = new Market({ costBps: 100, labelCost: 'net', minReturn: 0.005 });
  const signal = run.follow();
  const told = run.ledger.recordOutcome('s0', GAIN);
  assert.equal(told, {
    signalId: 's0',
    instrumentId: 'X',
    outcome: 'profit',
    source: 'user',
    metaLabel: 1,
    grossReturn: 0.02,
    netReturn: 0.02 - 0.01,
    grossR: 0.02 / (4 / 100),
    ambiguous: false,
    exitSequence: -1,
    exitNs: 0n,
  });
  assert.equal(run.words, ['resolved s0']);
  assert.is(run.told[0]!.outcome, told);
  run.row(STOP);
  assert.equal(run.words, ['resolved s0'], 'the barriers have nothing to add');
  const second = run.ledger.recordOutcome('s0', { outcome: 'timeout', grossReturn: 0.014 });
  assert.is(second.metaLabel, 0);
  assert.equal(run.words, ['resolved s0'], 'resolved once');
  run.rows(QUIET, QUIET);
  assert.equal(run.words, ['resolved s0', 'closed s0']);
  assert.is(outcomeOf(run, signal), second, 'the later word counts');
});

test("the user's word replaces an outcome that the barriers gave already", () => {
  const run = new Market();
  const signal = run.follow();
  const other = run.follow();
  run.row(STOP);
  run.ledger.recordOutcome('s0', GAIN);
  run.rows(QUIET, QUIET);
  assert.equal([outcomeOf(run, signal).source, outcomeOf(run, signal).metaLabel], ['user', 1]);
  assert.equal([outcomeOf(run, other).source, outcomeOf(run, other).metaLabel], ['barriers', 0]);
});

test('R of a return told before the entry is filled in when the signal closes', () => {
  const run = new Market({ entry: 'next-open' });
  const signal = run.follow();
  assert.is(run.ledger.recordOutcome('s0', GAIN).grossR, null);
  run.rows([102, 103, 101, 102], QUIET, QUIET);
  assert.is(run.told[0]!.outcome.grossR, null);
  assert.is(outcomeOf(run, signal).grossR, 0.02 / (4 / 102));
  assert.is(outcomeOf(run, signal).grossReturn, 0.02);
});

test('an outcome that is none is refused by its field, and nothing changes', async () => {
  const run = new Market();
  run.follow();
  const cases: [unknown, string][] = [
    [undefined, 'outcome'],
    [null, 'outcome'],
    ['profit', 'outcome'],
    [{ ...GAIN, outcome: 'censored' }, 'outcome'],
    [{ grossReturn: 0.1 }, 'outcome'],
    [{ ...GAIN, outcome: 'toString' }, 'outcome'],
    [{ ...GAIN, grossReturn: '0.1' }, 'grossReturn'],
    [{ ...GAIN, grossReturn: Number.NaN }, 'grossReturn'],
    [{ ...GAIN, grossReturn: Number.POSITIVE_INFINITY }, 'grossReturn'],
    [{ outcome: 'stop' }, 'grossReturn'],
    [{ ...GAIN, grossReturn: -1.01 }, 'grossReturn'],
  ];
  for (const [supplied, field] of cases) {
    const refusal = await refusalOf(() => run.ledger.recordOutcome('s0', supplied as SuppliedOutcome));
    assert.equal([refusal.code, refusal.field], ['INVALID_OUTCOME', field], JSON.stringify(supplied));
  }
  assert.equal(run.words, []);
  assert.is(run.ledger.recordOutcome('s0', { outcome: 'stop', grossReturn: -1 }).grossReturn, -1);
  run.follow({ side: -1 });
  assert.is(run.ledger.recordOutcome('s1', { outcome: 'stop', grossReturn: -3 }).metaLabel, 0, 'a short can lose more');
  const { field } = await refusalOf(() => run.ledger.recordOutcome('s1', { outcome: 'profit', grossReturn: 1.01 }));
  assert.is(field, 'grossReturn', 'but not gain more');
});

test('what the user changed after telling does not count', () => {
  const run = new Market();
  const signal = run.follow();
  const mine: { outcome: 'profit' | 'stop'; grossReturn: number } = { outcome: 'profit', grossReturn: 0.02 };
  run.ledger.recordOutcome('s0', mine);
  mine.grossReturn = -1;
  run.rows(QUIET, QUIET, QUIET);
  assert.is(outcomeOf(run, signal).grossReturn, 0.02);
});

test('an unknown signal and one whose horizon has closed are told apart', async () => {
  const run = new Market();
  run.follow();
  run.rows(QUIET, QUIET, QUIET);
  const refusal = async (id: string): Promise<unknown[]> => {
    const { code, field } = await refusalOf(() => run.ledger.recordOutcome(id, GAIN));
    return [code, field];
  };
  assert.equal(await refusal('s0'), ['OUTCOME_FINAL', 'signalId']);
  assert.equal(await refusal('s1'), ['UNKNOWN_SIGNAL', 'signalId']);
  for (let k = 0; k < CLOSED_IDS; k++) run.ledger.follow(run.signal({ signalId: `n${k}`, instrument: -1 }));
  assert.equal(await refusal('n0'), ['OUTCOME_FINAL', 'signalId']);
  for (let k = 0; k < CLOSED_IDS; k++) run.ledger.follow(run.signal({ signalId: `m${k}`, instrument: -1 }));
  assert.equal(await refusal('s0'), ['UNKNOWN_SIGNAL', 'signalId'], 'what closed long ago is forgotten');
});

test('a restart tells nothing again, follows on, and keeps what the user said', () => {
  const run = new Market();
  const signals = [run.follow(), run.follow({ side: -1 }), run.follow()];
  run.ledger.recordOutcome('s2', GAIN);
  run.row(STOP);
  assert.equal(run.words, ['resolved s2', 'resolved s0']);
  const told = run.openRecords(signals);
  run.restart(told);
  assert.equal(run.words, ['resolved s2', 'resolved s0']);
  run.rows(QUIET, QUIET);
  assert.equal(run.words, ['resolved s2', 'resolved s0', 'resolved s1', 'closed s0', 'closed s1', 'closed s2']);
  assert.is(outcomeOf(run, signals[0]!), told[0]!.outcome);
  assert.is(outcomeOf(run, signals[1]!).outcome, 'timeout');
  assert.is(outcomeOf(run, signals[2]!), told[2]!.outcome);
});

test('a restart catches up with bars that nobody followed, in signal time whatever the order of the records', () => {
  const run = new Market();
  const signals = [run.signal()];
  run.row(QUIET);
  signals.push(run.signal());
  run.rows(STOP, QUIET, QUIET);
  run.restart([...signals].reverse().map((signal) => ({ signal, outcome: null })));
  assert.equal(run.words, ['resolved s0', 'resolved s1', 'closed s0', 'closed s1']);
  run.restart(signals.concat(signals).map((signal) => ({ signal, outcome: run.lastOf(signal)!.outcome })));
  assert.equal(run.words.slice(4), ['closed s0', 'closed s1'], 'resolved before, closed here, once for every id');
});

test('a restored signal whose window is gone keeps its outcome if its horizon has closed, else it is censored', () => {
  const run = new Market({ capacity: 64 });
  const [told, untold] = [run.follow(), run.signal()];
  run.row(PROFIT);
  const outcome = outcomeOf(run, told);
  for (let k = 0; k < 70; k++) run.row(STILL);
  const lost = run.signal({ asOf: 500 });
  const before = run.words.length;
  run.restart([
    { signal: told, outcome },
    { signal: untold, outcome: null },
    { signal: lost, outcome: { ...outcome, signalId: lost.signalId } },
  ]);
  const said = run.told.slice(before).map((one) => [one.what, one.signal, one.outcome.outcome]);
  assert.equal(said, [
    ['resolved', untold, 'censored'],
    ['closed', untold, 'censored'],
    ['closed', lost, 'censored'],
    ['closed', told, 'profit'],
  ]);
});

test('a restored signal that had ended without a label only closes, and one of a quiet instrument expires', () => {
  const run = new Market({ expiryNs: 10n * MINUTE_NS }, ['X', 'Y']);
  const [quiet, ended] = [run.signal(), run.signal()];
  const expired = { ...blank(ended), outcome: 'expired' as const };
  for (let k = 0; k < 11; k++) run.row(STILL, 'Y');
  const alive = run.signal({ instrumentId: 'Y' });
  run.restart([
    { signal: quiet, outcome: null },
    { signal: ended, outcome: expired },
    { signal: alive, outcome: null },
  ]);
  assert.equal(run.words, ['closed s1', 'resolved s0', 'closed s0']);
  assert.is(outcomeOf(run, quiet).outcome, 'expired');
  assert.is(outcomeOf(run, ended), expired);
  assert.ok(run.ledger.isOpen(alive.signalId));
});

function blank({ signalId, instrumentId }: Signal): OutcomeEvent {
  const nothing = { metaLabel: null, grossReturn: null, netReturn: null, grossR: null };
  const place = { ambiguous: false, exitSequence: -1, exitNs: 0n };
  return { signalId, instrumentId, outcome: 'censored', source: 'barriers', ...nothing, ...place };
}

test('a listener may call back: with the true outcome, with another signal, with another bar', () => {
  const pending: ((told: Told) => void)[] = [];
  const run = new Market({ listen: (told) => pending.shift()?.(told) });
  const first = run.follow();
  run.follow();
  pending.push(
    ({ signal }) => run.ledger.recordOutcome(signal.signalId, GAIN),
    () => {
      run.follow({ asOf: 17, timestampNs: 0n });
      run.row(STILL);
    },
  );
  run.row(STOP);
  // s2 was due when it came: it closes as soon as the bar in hand is dealt with, and before the others, being earlier.
  assert.equal(run.words, ['resolved s0', 'resolved s1', 'resolved s2', 'closed s2']);
  run.row(QUIET);
  assert.equal(run.words.slice(4), ['closed s0', 'closed s1']);
  assert.is(outcomeOf(run, first).source, 'user');
});

test('a signal that a listener follows while others are due waits for them to be resolved', () => {
  let isFirst = true;
  const run = new Market({
    listen: () => {
      if (isFirst) {
        isFirst = false;
        run.follow({ signalId: 'overdue', asOf: 16 });
      }
    },
  });
  run.follow();
  run.follow();
  run.rows(QUIET, QUIET, QUIET);
  const ids = ['overdue', 's0', 's1'];
  assert.equal(run.words, ['resolved s0', 'resolved overdue', 'resolved s1', ...ids.map((id) => `closed ${id}`)]);
});

test('a listener that throws interrupts, but nothing is told twice and the rest follows with the next bar', () => {
  let isBroken = true;
  const run = new Market({
    listen: () => {
      if (isBroken) throw new Error('broken listener');
    },
  });
  run.follow();
  run.follow();
  assert.throws(() => run.row(STOP), 'broken listener');
  assert.equal(run.words, ['resolved s0']);
  isBroken = false;
  run.row(QUIET);
  assert.equal(run.words, ['resolved s0', 'resolved s1']);
  isBroken = true;
  assert.throws(() => run.row(QUIET), 'broken listener');
  isBroken = false;
  run.row(QUIET);
  assert.equal(run.words.slice(2), ['closed s0', 'closed s1']);
  isBroken = true;
  assert.throws(() => run.follow({ signalId: 'z', instrument: -1 }), 'broken listener');
  assert.equal(run.words.slice(4), ['resolved z', 'closed z'], 'the end of a signal is told whole');
});

test('a listener that breaks while an instrument expires leaves the others to expire later', () => {
  let isBroken = true;
  const run = new Market(
    {
      expiryNs: 10n * MINUTE_NS,
      listen: ({ what }) => {
        if (isBroken && what === 'closed') throw new Error('broken listener');
      },
    },
    ['X', 'Y'],
  );
  run.follow();
  run.follow();
  for (let k = 0; k < 9; k++) run.row(STILL, 'Y');
  assert.throws(() => run.row(STILL, 'Y'), 'broken listener');
  isBroken = false;
  run.row(STILL, 'Y');
  assert.equal(run.words, ['resolved s0', 'closed s0', 'resolved s1', 'closed s1']);
});

test('a flat signal is the caller’s mistake', () => {
  const run = new Market();
  assert.throws(() => run.follow({ side: 0 as 1 }), 'a flat signal has no outcome');
});

test.run();
