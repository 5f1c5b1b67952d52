import { createHash } from 'node:crypto';
import { OrchestratorError } from '../../errors.js';
import type { RedisArgument, RedisCommand } from './redis-client.js';

/** Names and values that a script can pass on in one command, with room for those of its own; more than any writer has. */
export const FIELDS_MAX = 4000;

/** A script of the server's Lua, whose first line makes a server without memory refuse it whole instead of in the middle (Redis 7). */
export class Script {
  readonly sha: string;

  constructor(readonly source: string) {
    this.sha = createHash('sha1').update(source).digest('hex');
  }
}

/**
 * Replies of the scripts below: `FENCED`, another process owns the partition by now; `NOT_PENDING`,
 * the entry has its reply already; `UNREAD`, the bar that is said to be missing may have come.
 * Where its signal has one, under another entry: `REPEATED`, a copy of that went out; `TRIMMED`,
 * that is gone, and `REUSED`, the id is another signal's: nothing was written, and a rejection has
 * to follow.
 */
export type Verdict = 'DONE' | 'FENCED' | 'NOT_PENDING' | 'UNREAD' | 'REPEATED' | 'TRIMMED' | 'REUSED';

/**
 * What is remembered of an id takes so many bytes at the most: about 25 signals that were given it.
 * Of more, each is refused anew when it comes again.
 */
const SEEN_BYTES_MAX = 1000;

const CHECK_LEASE = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'FENCED' end";
/** The entry is pending, which it is once. */
const CHECK_PENDING =
  "if #redis.call('XPENDING', KEYS[2], ARGV[2], ARGV[3], ARGV[3], 1) == 0 then return 'NOT_PENDING' end";
/**
 * Of `seen:ID`, `<digest>=<entry of the reply>;` for every signal that was given the id: a signal
 * that is known gets a copy of its reply, in which `repeated` is true. ARGV[6] is the digest of
 * this one, and the locals `seenKey` and `isReused` say where and whether a known id is refused
 * already. A value without `=` was written by an earlier version, which kept no digest.
 *
 * How `repeated` is found in bytes of ours: in JSON `"repeated":false` can be the field alone,
 * since within any text a quote has a backslash in front. In MessagePack a text may hold the bytes
 * of the key and of false (`¨repeated` and a character that begins with 0xc2), but all text of
 * others stands in fields before this one, and behind it are times and the name of a class: so the
 * last occurrence is the field. The key is 0xa8 and eight letters, false 0xc2, true 0xc3; nothing
 * changes its length.
 */
const REPEAT = `local function asRepeated(payload)
  local no, yes = '"repeated":false', '"repeated":true'
  if string.byte(payload) ~= 123 then no, yes = '\\168repeated\\194', '\\168repeated\\195' end
  local from, to = nil, 0
  repeat
    local first, last = string.find(payload, no, to + 1, true)
    if first then from, to = first, last end
  until not first
  if not from then return payload end
  return string.sub(payload, 1, from - 1) .. yes .. string.sub(payload, to + 1)
end
local seen = seenKey and redis.call('GET', seenKey)
if seen then
  local known = string.match(seen, ARGV[6] .. '=([%d-]+)')
  if known then
    local reply = redis.call('XRANGE', outKey, known, known)[1]
    if not reply then return 'TRIMMED' end
    local fields = reply[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'payload' then fields[i + 1] = asRepeated(fields[i + 1]) end
    end
    redis.call('XADD', outKey, 'MAXLEN', '~', ARGV[5], '*', unpack(fields))
    redis.call('XACK', KEYS[2], ARGV[2], ARGV[3])
    return 'REPEATED'
  end
  if not string.find(seen, '=', 1, true) then return 'TRIMMED' end
  if not isReused then return 'REUSED' end
end`;
/**
 * Behind the reply `replyId`: nothing undoes what a script has written before a command that the
 * server refuses.
 */
const SETTLE = `redis.call('XACK', KEYS[2], ARGV[2], ARGV[3])
if seenKey then
  seen = seen or ''
  if #seen < ${SEEN_BYTES_MAX} then seen = seen .. ARGV[6] .. '=' .. replyId .. ';' end
  redis.call('SET', seenKey, seen, 'EX', ARGV[4])
end
return 'DONE'`;

/** `fieldsAt`: the argument with which the answer's fields and values begin. */
const answerScript = (check: string, fieldsAt: number): Script =>
  new Script(`#!lua
${CHECK_LEASE}
${CHECK_PENDING}
${check}
local outKey, seenKey, isReused = KEYS[3], KEYS[4], false
${REPEAT}
local replyId = redis.call('XADD', outKey, 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, ${fieldsAt}))
${SETTLE}`);

/**
 * The only way an answer leaves. KEYS lease, input, output, seen; ARGV token, group, entry, seconds
 * an id is remembered, entries kept, digest, then fields and values.
 */
export const ANSWER = answerScript('', 7);

/**
 * As {@link ANSWER}, for a signal whose bar did not come: not while an entry may hold it that had
 * not been read when the clock said so. ARGV behind the digest: the newest entry that had been read
 * then, and the last millisecond at which the bar would have been in time.
 */
export const ANSWER_WITHOUT_BAR = answerScript(
  "if #redis.call('XRANGE', KEYS[2], '(' .. ARGV[7], ARGV[8], 'COUNT', 1) > 0 then return 'UNREAD' end",
  9,
);

/**
 * The only way a refusal leaves: as a dead letter, with what the entry holds copied behind the
 * given fields, as much of it as one command may have; and for a signal as a rejection beside the
 * answers, whose entry the letter names. KEYS lease, input, output, dead, seen?; ARGV token, group,
 * entry, seconds an id is remembered, entries kept, digest, 'reused' where the id is known to be
 * another signal's, the number of the letter's fields and values, and those, then fields and values
 * of the rejection, if there is one.
 */
export const DEAD_LETTER = new Script(`#!lua
${CHECK_LEASE}
${CHECK_PENDING}
local outKey, seenKey, isReused = KEYS[3], KEYS[5], ARGV[7] == 'reused'
${REPEAT}
local rejectionAt = 9 + tonumber(ARGV[8])
local letter = {unpack(ARGV, 9, rejectionAt - 1)}
local replyId = ''
if ARGV[rejectionAt] then replyId = redis.call('XADD', outKey, 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, rejectionAt)) end
letter[#letter + 1] = 'reply'
letter[#letter + 1] = replyId
local entry = redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3])[1]
local entryFields = entry and entry[2] or {}
for i = 1, math.min(#entryFields, ${FIELDS_MAX}) do letter[#letter + 1] = entryFields[i] end
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[5], '*', unpack(letter))
${SETTLE}`);

/** Gives the group's next entries to this consumer, and acknowledges those that need no reply. KEYS lease, input; ARGV token, group, consumer, count, then entries. Returns the last entry given, and the oldest of the stream, '' for none. */
export const DELIVER = new Script(`#!lua
${CHECK_LEASE}
local last = ''
if tonumber(ARGV[4]) > 0 then
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', ARGV[4], 'STREAMS', KEYS[2], '>')
  if reply then
    local entries = reply[1][2]
    last = entries[#entries][1]
  end
end
if #ARGV > 4 then redis.call('XACK', KEYS[2], ARGV[2], unpack(ARGV, 5)) end
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
return {last, oldest and oldest[1] or ''}`);

/** Writes a strategy's messages in their order, all or none. KEYS input; ARGV of each message the number of its fields and values, and those. */
export const ADD = new Script(`#!lua
local at = 1
while ARGV[at] do
  local count = tonumber(ARGV[at])
  redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
return 'DONE'`);

/** Takes the lease if nobody has it, or this process under another token. KEYS lease; ARGV token, what all tokens of this process begin with, milliseconds. Returns 'DONE', or the milliseconds another one has left. */
export const ACQUIRE = new Script(`#!lua flags=allow-oom
local holder = redis.call('GET', KEYS[1])
if holder and string.sub(holder, 1, #ARGV[2]) ~= ARGV[2] then return redis.call('PTTL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 'DONE'`);

/** KEYS lease; ARGV token, milliseconds. Also while the server is out of memory: nothing else would keep the partition. */
export const RENEW = new Script(`#!lua flags=allow-oom
${CHECK_LEASE}
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'DONE'`);

/** KEYS lease; ARGV token. */
export const RELEASE = new Script(`#!lua flags=allow-oom
${CHECK_LEASE}
redis.call('DEL', KEYS[1])
return 'DONE'`);

/** Forgets entries before one, also while the server is out of memory: it makes room. KEYS lease, input; ARGV token, entry. */
export const TRIM = new Script(`#!lua flags=allow-oom
${CHECK_LEASE}
redis.call('XTRIM', KEYS[2], 'MINID', '~', ARGV[2])
return 'DONE'`);

/** Forgets consumers of earlier processes that have nothing pending. KEYS lease, input; ARGV token, group, consumer that stays. */
export const FORGET_CONSUMERS = new Script(`#!lua
${CHECK_LEASE}
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[2], ARGV[2])) do
  if consumer[2] ~= ARGV[3] and consumer[4] == 0 then redis.call('XGROUP', 'DELCONSUMER', KEYS[2], ARGV[2], consumer[2]) end
end
return 'DONE'`);

/**
 * Writes entries of other streams to the input under the milliseconds of their own writing, as far
 * as the input's last entry allows, and how far those streams have been read. KEYS lease, input,
 * gathered; ARGV token, number of streams, of each its name, where it was left and where it is left
 * now, then of each entry its milliseconds, the number of its fields and values, and those. Returns
 * 'RESYNC', having done nothing, when a stream was left somewhere else.
 */
export const GATHER = new Script(`#!lua
${CHECK_LEASE}
local at = 3 + 3 * tonumber(ARGV[2])
for i = 3, at - 1, 3 do
  if (redis.call('HGET', KEYS[3], ARGV[i]) or '0-0') ~= ARGV[i + 1] then return 'RESYNC' end
end
local ms = 0
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then ms = tonumber(string.match(info[i + 1], '^%d+')) end
  end
end
while ARGV[at] do
  ms = math.max(ms, tonumber(ARGV[at]))
  local count = tonumber(ARGV[at + 1])
  redis.call('XADD', KEYS[2], string.format('%.0f-*', ms), unpack(ARGV, at + 2, at + count + 1))
  at = at + count + 2
end
for i = 3, 2 + 3 * tonumber(ARGV[2]), 3 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 2]) end
return 'DONE'`);

const FENCED = Buffer.from('FENCED');

/** Commands that run scripts over one connection: the first time with the source, which the server keeps, afterwards by checksum. */
export class ScriptCommands {
  private readonly known = new Set<Script>();

  of(script: Script, keys: readonly string[], args: readonly RedisArgument[]): RedisCommand {
    if (this.known.has(script)) return ['EVALSHA', script.sha, keys.length, ...keys, ...args];
    this.known.add(script);
    return ['EVAL', script.source, keys.length, ...keys, ...args];
  }
}

/** The reply of a script that had the lease. Throws FENCED for one that had not. */
export function checkLease(reply: unknown): unknown {
  if (Buffer.isBuffer(reply) && reply.length === FENCED.length && reply.equals(FENCED)) {
    throw new OrchestratorError('FENCED', 'the lease on the partition has lapsed, or another process has it', {
      field: 'redis.partition',
    });
  }
  return reply;
}
