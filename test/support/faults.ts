import { existsSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { invariant } from '../../src/invariant.js';

/** The user feature that carries a fault's code to the thread it is to break; 0 for none. */
export const FAULT_FEATURE = 'fault';

/** How a thread breaks on a request: four ways to die, one to hang, one to wait until it is released. */
export const REQUEST_FAULTS = ['exit', 'exit-0', 'throw', 'heap', 'hang', 'hold'] as const;
/** How a thread breaks at its own business: before it sleeps, with a staged model in its hands, while it gets used to one. */
export const THREAD_FAULTS = ['idle', 'staged', 'rehearsal'] as const;
export type RequestFault = (typeof REQUEST_FAULTS)[number];
export type ThreadFault = (typeof THREAD_FAULTS)[number];
export type FaultKind = RequestFault | ThreadFault;

const ALWAYS = 50;
const KINDS_MAX = 16;
const DIRECTORY_VARIABLE = 'FAULTS_DIRECTORY';

/**
 * Faults that were ordered and have not happened are files in a directory that main and its threads share. A thread that can remove the file breaks: so a fault happens
 * as often as it was ordered, however often its request is replayed.
 */
const directory = faultsDirectory();
let lastId = 0;

function faultsDirectory(): string {
  const inherited = process.env[DIRECTORY_VARIABLE];
  if (!isMainThread) {
    invariant(inherited !== undefined, 'a faulty thread is told where its faults lie');
    return inherited;
  }
  const created = mkdtempSync(join(tmpdir(), 'ml4t-faults-'));
  process.env[DIRECTORY_VARIABLE] = created;
  process.on('exit', () => rmSync(created, { recursive: true, force: true }));
  return created;
}

/** A fault that was ordered. */
export class OrderedFault {
  private readonly id = ++lastId;

  constructor(
    readonly kind: FaultKind,
    times: number,
  ) {
    for (let k = 0; k < times; k++) writeFileSync(join(directory, `${kind}.${this.id}.${k}`), '');
  }

  /** What a signal carries as its {@link FAULT_FEATURE}. */
  get code(): number {
    return this.id * KINDS_MAX + REQUEST_FAULTS.indexOf(this.kind as RequestFault) + 1;
  }

  /** Whether it has happened as often as it was ordered. */
  get isOver(): boolean {
    return pendingFaults(this.kind, this.id).length === 0;
  }

  /** Lets the thread that holds go on. */
  release(): void {
    writeFileSync(releaseOf(this.id), '');
  }
}

/** Orders a fault; one of a request happens to the thread that comes to the request with its code. */
export function orderFault(kind: FaultKind, times = 1): OrderedFault {
  return new OrderedFault(kind, times);
}

/** A fault for every thread that comes to its request. */
export function orderPoison(kind: RequestFault): OrderedFault {
  return new OrderedFault(kind, ALWAYS);
}

/** On a thread: the fault it is to suffer, if the code names one that has not happened yet. */
export function takeRequestFault(code: number): { kind: RequestFault; id: number } | null {
  if (!(code > 0)) return null;
  const kind = REQUEST_FAULTS[(code % KINDS_MAX) - 1]!;
  const id = Math.floor(code / KINDS_MAX);
  return takeFault(kind, id) ? { kind, id } : null;
}

/** On a thread: whether it is to suffer this now. */
export function takeThreadFault(kind: ThreadFault): boolean {
  return takeFault(kind, null);
}

/** Whether the thread that holds may go on. */
export function isReleased(id: number): boolean {
  return existsSync(releaseOf(id));
}

function releaseOf(id: number): string {
  return join(directory, `release.${id}`);
}

function pendingFaults(kind: FaultKind, id: number | null): string[] {
  const prefix = id === null ? `${kind}.` : `${kind}.${id}.`;
  return readdirSync(directory).filter((name) => name.startsWith(prefix));
}

/** Of two threads that see the same file one removes it. */
function takeFault(kind: FaultKind, id: number | null): boolean {
  return pendingFaults(kind, id).some((name) => {
    try {
      unlinkSync(join(directory, name));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return false;
    }
  });
}
