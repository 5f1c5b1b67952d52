import { compareEntryIds, type EntryId, entryIdBefore, STREAM_START } from './entry-id.js';
import { ReadPace } from './read-pace.js';
import { FORGET_CONSUMERS } from './scripts.js';
import { arrayOf, entriesOf, recordOf, type StreamEntry, textOf } from './stream-entries.js';
import type { OnGap, StreamSession } from './stream-session.js';

/** Entries read or claimed at once. */
const PAGE = 500;

/**
 * Brings a partition's new owner to where its group is, whoever was the owner before and however it ended. Everything that is pending becomes this consumer's. What was taken in here is
 * delivered if it was not; then every entry between that and what the group was given is taken in, in order: bars, which the target may know, and of the signals those that are pending. So
 * a signal sees the bars of smaller entries alone, as it did or would have done at its first owner's; one that had been let in here is told the bar it saw then.
 */
export async function takeUp(session: StreamSession): Promise<void> {
  const { progress, keys, settings, consumer, counts, onGap } = session.parts;
  const known = progress.position;
  const group = await openGroup(session);
  await settlePosition(session, group, onGap);
  const pending = await claimPending(session, onGap);
  await session.run(FORGET_CONSUMERS, [keys.input], [settings.group, consumer]);
  await deliverKnown(session, group.delivered, pending);
  for (const { replyKind } of progress.keepOnly(pending)) counts.replied({ kind: replyKind });
  const resumed = [...pending].filter((id) => compareEntryIds(id, known) <= 0);
  await resume(session, resumed.sort(compareEntryIds));
  session.replies.takenUp();
  await catchUp(session, group.delivered, pending);
  await session.flushed();
}

interface Group {
  /** The last entry the group was given. */
  readonly delivered: EntryId;
  /** The last entry that was written to the stream, and the last that was removed from it. */
  readonly written: EntryId;
  readonly removed: EntryId;
}

/** The group on the input stream, made where there is none: for what this process has not taken in yet. */
async function openGroup(session: StreamSession): Promise<Group> {
  const { keys, settings, progress } = session.parts;
  const exists = Number(await session.ask('EXISTS', keys.input)) === 1;
  const groups = exists ? arrayOf(await session.ask('XINFO', 'GROUPS', keys.input)).map(recordOf) : [];
  let group = groups.find((one) => textOf(one.get('name')) === settings.group);
  if (group === undefined) {
    const oldest = [...progress.unanswered()].sort(compareEntryIds)[0];
    const wanted = oldest === undefined ? progress.position : entryIdBefore(oldest);
    // A stream that is new or was lost may be behind this process; a group ahead of it would pass new entries over.
    const written = exists ? await lastWritten(session) : STREAM_START;
    const from = compareEntryIds(written, wanted) < 0 ? written : wanted;
    await session.ask('XGROUP', 'CREATE', keys.input, settings.group, from, 'MKSTREAM');
    group = new Map([['last-delivered-id', from]]);
  }
  const stream = recordOf(await session.ask('XINFO', 'STREAM', keys.input));
  return {
    delivered: textOf(group.get('last-delivered-id')),
    written: textOf(stream.get('last-generated-id')),
    removed: textOf(stream.get('max-deleted-entry-id') ?? STREAM_START),
  };
}

async function lastWritten(session: StreamSession): Promise<EntryId> {
  const stream = recordOf(await session.ask('XINFO', 'STREAM', session.parts.keys.input));
  return textOf(stream.get('last-generated-id'));
}

/** Reports what is missing: what a server lost that it had confirmed, as after a failover nobody planned, and what was removed before it came here. Goes back to the server's last entry where it lost some. */
async function settlePosition(session: StreamSession, { written, removed }: Group, onGap: OnGap): Promise<void> {
  const { progress, keys } = session.parts;
  const { position } = progress;
  if (position === STREAM_START) return;
  const [first] = entriesOf(await session.ask('XRANGE', keys.input, '-', '+', 'COUNT', 1));
  const [own] = entriesOf(await session.ask('XRANGE', keys.input, position, position));
  const isCut = first === undefined || compareEntryIds(first.id, position) > 0;
  if (compareEntryIds(written, position) < 0) {
    onGap(null, `the server has lost entries after ${written} up to ${position}, and maybe replies`);
    progress.position = written;
  } else if (own === undefined && !isCut && compareEntryIds(removed, position) < 0) {
    onGap(null, `the server has lost entry ${position}, and maybe others and replies`);
  } else if (compareEntryIds(removed, position) > 0 || (own === undefined && isCut && written !== position)) {
    onGap(null, `entries after ${position} may have been removed from the stream before they were read`);
  }
}

/** All that is pending, from now on with this consumer. */
async function claimPending(session: StreamSession, onGap: OnGap): Promise<Set<EntryId>> {
  const { keys, settings, consumer } = session.parts;
  const pending = new Set<EntryId>();
  let start = STREAM_START;
  do {
    const reply = await session.ask(
      'XAUTOCLAIM',
      keys.input,
      settings.group,
      consumer,
      0,
      start,
      'COUNT',
      PAGE,
      'JUSTID',
    );
    const [next, claimed, deleted] = arrayOf(reply);
    for (const id of arrayOf(claimed)) pending.add(textOf(id));
    const lost = arrayOf(deleted ?? []).length;
    if (lost > 0) onGap(lost, `${lost} entries were removed from the stream before they had a reply`);
    start = textOf(next);
  } while (start !== STREAM_START);
  return pending;
}

/** Has the group given what was taken in here and not delivered before the connection broke, or the process died. */
async function deliverKnown(session: StreamSession, delivered: EntryId, pending: Set<EntryId>): Promise<void> {
  const { position } = session.parts.progress;
  for await (const page of pages(session, delivered, position)) {
    for (const { id } of page) pending.add(id);
    session.deliver(page.length, page.at(-1)!.id, []);
  }
}

/** Goes on with pending entries that had been taken in, but not by this process, or not with a reply. */
async function resume(session: StreamSession, ids: readonly EntryId[]): Promise<void> {
  const { progress, intake, keys } = session.parts;
  const unknown = ids.filter((id) => progress.inFlight.get(id) === undefined);
  for (let first = 0; first < unknown.length; first += PAGE) {
    const page = unknown.slice(first, first + PAGE);
    const replies = await session.askAll(page.map((id) => ['XRANGE', keys.input, id, id]));
    const settled: EntryId[] = [];
    for (const entry of replies.flatMap(entriesOf)) {
      const taken = await session.whenFree(() => intake.take(entry));
      if (taken === null) return;
      if (taken === 'settled') settled.push(entry.id);
    }
    if (settled.length > 0) session.deliver(0, settled.at(-1)!, settled);
  }
}

/** Takes in what other owners were given, up to the last. */
async function catchUp(session: StreamSession, delivered: EntryId, pending: ReadonlySet<EntryId>): Promise<void> {
  const { progress, intake } = session.parts;
  for await (const page of pages(session, progress.position, delivered)) {
    const settled: EntryId[] = [];
    for (const entry of page) {
      const isPending = pending.has(entry.id);
      const taken = await session.whenFree(() => (isPending ? intake.take(entry) : intake.retake(entry)));
      if (taken === null) return;
      progress.position = entry.id;
      if (isPending && taken === 'settled') settled.push(entry.id);
    }
    if (settled.length > 0) session.deliver(0, settled.at(-1)!, settled);
    session.passed(page.length);
  }
}

/** Entries after one up to another, in order. */
async function* pages(session: StreamSession, after: EntryId, last: EntryId): AsyncGenerator<StreamEntry[]> {
  const pace = new ReadPace(PAGE);
  let from = after;
  while (compareEntryIds(from, last) < 0) {
    const range = [`(${from}`, last, 'COUNT', pace.count];
    const page = entriesOf(await session.ask('XRANGE', session.parts.keys.input, ...range));
    if (page.length === 0) return;
    pace.took(page);
    yield page;
    from = page.at(-1)!.id;
  }
}
