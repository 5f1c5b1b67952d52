import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AdmittedSignal } from '../../src/inference/admission.js';
import type { Recording } from '../../src/inference/recording.js';
import { AnswerBook, type GivenAnswer } from '../../src/loop/answer-book.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';

const SIGNAL = {} as AdmittedSignal;

interface Entered {
  readonly book: AnswerBook;
  /** Ids, one list for every time the book was entered. */
  readonly pages: string[][];
  readonly rows: (Float32Array | null)[];
  /** How often what becomes of a page was asked for. */
  readonly asked: number[];
}

function bookOf(recorded: (page: number) => Promise<void> = () => Promise.resolve()): Entered {
  const entered: Omit<Entered, 'book'> = { pages: [], rows: [], asked: [] };
  const book = new AnswerBook((answers: readonly GivenAnswer[]): Recording => {
    const page = entered.pages.push(answers.map(({ answer }) => answer.signalId)) - 1;
    entered.rows.push(...answers.map(({ row }) => row));
    entered.asked.push(0);
    return {
      get recorded() {
        entered.asked[page]!++;
        return recorded(page);
      },
    };
  });
  return { ...entered, book };
}

/** An answer as the desk makes it: it takes its recording before it is given to the book. */
function give(book: AnswerBook, id: string, row: Float32Array | null = null): Recording {
  const { recording } = book;
  book.add({ signalId: id } as EnrichedSignalEvent, SIGNAL, row);
  return recording;
}

test('answers are entered together and in their order, a turn of the event loop after the one in which they may leave', async () => {
  const { book, pages } = bookOf();
  for (const id of ['a', 'b', 'c']) give(book, id);
  assert.equal(pages, []);
  await nextTurn();
  assert.equal(pages, [], 'whatever sends them on has its turn first');
  await nextTurn();
  assert.equal(pages, [['a', 'b', 'c']]);
  give(book, 'd');
  await nextTurn();
  await nextTurn();
  assert.equal(pages, [['a', 'b', 'c'], ['d']]);
});

test('entering comes at once when it is asked for, and nothing is entered twice', async () => {
  const { book, pages } = bookOf();
  give(book, 'a');
  book.enterAll();
  book.enterAll();
  give(book, 'b');
  book.enterAll();
  await nextTurn();
  assert.equal(pages, [['a'], ['b']]);
});

test('a caller that never yields has at most 1,024 answers waiting', () => {
  const { book, pages } = bookOf();
  for (let k = 0; k < 2500; k++) give(book, `${k}`);
  assert.equal(
    pages.map(({ length }) => length),
    [1024, 1024],
  );
  assert.equal(
    pages.flat(),
    Array.from({ length: 2048 }, (_, k) => `${k}`),
  );
});

test('the row is copied when the answer is given, since its place is used again', () => {
  const { book, rows } = bookOf();
  const row = Float32Array.of(1, 2, 3);
  give(book, 'a', row);
  row.fill(9);
  book.enterAll();
  assert.equal(rows, [Float32Array.of(1, 2, 3)]);
});

test('nobody makes a promise that nobody asks for', async () => {
  const { book, asked } = bookOf(() => Promise.reject(new Error('nobody looks')));
  for (let k = 0; k < 10; k++) give(book, `${k}`);
  await nextTurn();
  await nextTurn();
  assert.equal(asked, [0]);
});

test('whoever asks what becomes of an answer has it entered at once, and hears of its own page', async () => {
  const settle: (() => void)[] = [];
  const { book, pages } = bookOf(() => new Promise((resolve) => settle.push(resolve)));
  const first = give(book, 'a');
  const told: string[] = [];
  const a = first.recorded.then(() => told.push('a'));
  assert.equal(pages, [['a']]);
  const second = give(book, 'b');
  const b = second.recorded.then(() => told.push('b'));
  await nextTurn();
  assert.equal(told, []);
  settle[1]!();
  await b;
  assert.equal(told, ['b'], 'the first page has not been recorded yet');
  settle[0]!();
  await a;
});

test('answers around a full page hear of the page they are on', () => {
  const { book, asked } = bookOf();
  const recordings = Array.from({ length: 1030 }, (_, k) => give(book, `${k}`));
  void recordings[1023]!.recorded;
  assert.equal(asked, [1]);
  void recordings[1024]!.recorded;
  assert.equal(asked, [1, 1]);
});

test.run();
