import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntryId } from './entry-id.js';
import { ReadPace } from './read-pace.js';
import type { StreamEntry } from './stream-entries.js';
import type { Taken } from './stream-intake.js';
import type { StreamSession } from './stream-session.js';

/** Entries asked for at once. */
const READ_COUNT = 256;
/** Deliveries that may be unconfirmed while more is read: what was read and not delivered must stay little. */
const DELIVERING_MAX = 4;

/** Entries that reached the target together, and are given to the group together. */
interface Run {
  readonly after: EntryId;
  readonly taken: EntryId[];
  /** Of those, the ones that need no reply. */
  readonly settled: EntryId[];
}

/**
 * Brings new entries to the target, in order, and has them delivered to the group, until the
 * session is to read no more. Rejects with what ended the session before. `gatheredMs`: no entry
 * comes any more that was written elsewhere before this millisecond.
 */
export async function readNew(session: StreamSession, gatheredMs: () => number): Promise<void> {
  const { progress, intake } = session.parts;
  const pace = new ReadPace(READ_COUNT);
  while (session.isReading) {
    const room = roomFor(session);
    if (room <= 0 || session.deliveringCount >= DELIVERING_MAX) {
      await progress.inFlight.change();
      continue;
    }
    const wanted = Math.min(pace.count, room);
    const untilMs = intake.waitsUntilMs;
    // Asked before the read: what that does not bring was not written by then.
    const nowMs = untilMs === null ? null : Math.min(await session.serverMs(), gatheredMs());
    const entries = await session.read(wanted, untilMs === null ? null : untilMs - nowMs!);
    pace.took(entries);
    await takeAll(session, entries);
    // A read that failed has brought nothing, and says nothing.
    if (nowMs !== null && entries.length === 0 && session.isReading)
      await session.whenFree(() => intake.timePassed(nowMs));
    // More that is there already is asked for at once, so that the server brings it while replies are made; else the replies leave first.
    if (entries.length < wanted) await nextTurn();
  }
  session.checkFailure();
}

/**
 * How many entries may be in flight beside those that are. While only signals that wait for bars
 * are, one at a time comes in beyond the bound: it may be a bar.
 */
function roomFor({ parts: { settings, progress } }: StreamSession): number {
  const { size } = progress.inFlight;
  const room = settings.inFlightMax - size;
  return room <= 0 && progress.inFlight.waitingCount === size ? 1 : room;
}

async function takeAll(session: StreamSession, entries: readonly StreamEntry[]): Promise<void> {
  let run = begin(session);
  try {
    for (const entry of entries) {
      const taking = session.whenFree(() => takeOne(session, entry));
      if (taking instanceof Promise) {
        // The replies to what was taken do not wait for room for the rest.
        end(session, run);
        run = begin(session);
      }
      // Waits only where it has to: to wait for every entry costs more than most of them.
      const taken = taking instanceof Promise ? await taking : taking;
      if (taken === null) return;
      run.taken.push(entry.id);
      if (taken === 'settled') run.settled.push(entry.id);
    }
  } finally {
    end(session, run);
  }
}

function takeOne({ parts: { intake, progress } }: StreamSession, entry: StreamEntry): Taken {
  const taken = intake.take(entry);
  // In the same turn as the bar: they are recorded together.
  if (taken !== 'busy') progress.position = entry.id;
  return taken;
}

function begin(session: StreamSession): Run {
  const after = session.parts.progress.position;
  session.replies.hold(after);
  return { after, taken: [], settled: [] };
}

function end(session: StreamSession, { after, taken, settled }: Run): void {
  if (taken.length > 0) session.deliver(taken.length, taken.at(-1)!, settled, taken[0]!, after);
  session.replies.release();
  session.passed(taken.length);
}
