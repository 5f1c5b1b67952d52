import type { OrchestratorError } from '../errors.js';
import { type Delay, timerDelay } from '../state/commit-loop.js';

/** Refusals after one that was told are told together, so much later. */
const TOGETHER_MS = 10_000;

/** Refusals since the last notice: how many, and what the first of them was. */
export interface Refusals {
  readonly count: number;
  readonly code: string;
  readonly field: string | null;
}

/** Tells of refusals: of the first at once, then at most every ten seconds, whatever comes. */
export class RefusalNotice {
  private untold: Refusals | null = null;
  private takeBack: (() => void) | null = null;

  constructor(
    private readonly tell: (refusals: Refusals) => void,
    private readonly delay: Delay = timerDelay,
  ) {}

  add({ code, field }: Pick<OrchestratorError, 'code' | 'field'>): void {
    this.untold =
      this.untold === null
        ? { count: 1, code, field: field ?? null }
        : { ...this.untold, count: this.untold.count + 1 };
    if (this.takeBack === null) this.next();
  }

  /** Tells what is left. */
  end(): void {
    this.takeBack?.();
    this.takeBack = null;
    if (this.untold !== null) this.tell(this.untold);
    this.untold = null;
  }

  private next(): void {
    this.takeBack = null;
    if (this.untold === null) return;
    const told = this.untold;
    this.untold = null;
    this.takeBack = this.delay(TOGETHER_MS, () => this.next());
    this.tell(told);
  }
}
