import { OrchestratorError } from '../errors.js';
import { invariant } from '../invariant.js';

/** What one signal put at risk, as plain data: it goes with the signal and is stored with it. */
export interface Stake {
  /** The meta-label that speaks against the new model; the other one loses the reserve whole. */
  readonly wins: 0 | 1;
  /** Taken out of the cash of each bet size at the signal. */
  readonly reserves: readonly number[];
  /** Paid back to each when the label is `wins`: the reserve and what it won. */
  readonly payouts: readonly number[];
}

export interface RollbackEvidenceState {
  readonly concurrency: number;
  /** Of each bet size. */
  readonly cash: readonly number[];
  readonly eValueMax: number;
  readonly pending: number;
  readonly settled: number;
  readonly forfeited: number;
}

/** Confidences closer to 0 or 1 than this are taken for this, so that no signal decides alone. */
const PROBABILITY_FLOOR = 1e-4;
/**
 * What is bet per nat, as a share of the cash that falls to one of the concurrent signals. The best bet depends on how much worse the model is: one of these is near it, and holds
 * a sixth.
 */
const BET_SIZES = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2];
/** No signal risks more of its share. */
const RISK_MAX = 0.5;
/** Evidence at which the new model is refuted: it happens to one that is at least as good with probability 1/10 at most. */
const E_REFUTING = 10;

/**
 * Evidence that a model newly in service is worse than the one before it, by betting against it: a portfolio of bets that nobody can expect to win if the new model is at
 * least as good. With d(y) = loss of the new model − loss of the old one at label y, in nats, the null is
 *
 *     E[ d(y) | all that was known at the signal ] <= 0 for every staked signal,
 *
 * and under it P(E ever reaches 10) <= 1/10, whenever one looks and however labels overlap (Ville 1939; for the comparison of forecasters Choe & Ramdas 2024; for such
 * bets Waudby-Smith & Ramdas 2024). The null is about every signal. A model that is as good only on average may be refuted more often: one that is worse for stretches much
 * longer than a label, and one whose extreme confidences are knowably its worse ones, since the limit on what is risked lets more be bet where b is smaller.
 *
 * Why delayed settlement keeps that true. Let V be the cash plus, for every pending stake s, s·(b + E[ d | what is known now ]), its fair value. At a signal V changes by
 * −s·b + s·(b + E[d]) = s·E[d] <= 0; until the horizon closes a conditional expectation is a martingale, whatever the other labels that share its path tell about it; and when
 * it closes it is d itself. So V is a supermartingale that starts at 1, for any stake that depends only on what was known at the signal, as this one does: on the two
 * confidences and on the cash. As b + d >= 0, V is never below the cash alone, so E, the mean cash with every pending reserve counted as lost, never exceeds the mean of
 * such V. The fair value itself need not be known.
 *
 * So call {@link stake} when the signal is answered, before any later bar is seen, and {@link settle} or {@link forfeit} once for every stake.
 */
export class RollbackEvidence {
  readonly #concurrency: number;
  readonly #cash: number[];
  #eValueMax: number;
  #pending: number;
  #settled: number;
  #forfeited: number;

  /**
   * `meanConcurrency`: labels open at a time, on average, when the new model entered service; rounded up it fixes what one signal may risk, and a state keeps its own.
   * Throws OUT_OF_RANGE when it is not positive and finite.
   */
  constructor(meanConcurrency: number, state?: RollbackEvidenceState) {
    if (!(meanConcurrency > 0 && Number.isFinite(meanConcurrency))) {
      throw new OrchestratorError('OUT_OF_RANGE', `meanConcurrency ${meanConcurrency} is not positive and finite`, {
        field: 'meanConcurrency',
      });
    }
    invariant(state === undefined || state.cash.length === BET_SIZES.length, 'every bet size has its cash');
    // What was staked so far was staked with the state's own number.
    this.#concurrency = state?.concurrency ?? Math.ceil(meanConcurrency);
    this.#cash = state === undefined ? BET_SIZES.map(() => 1) : [...state.cash];
    this.#eValueMax = state?.eValueMax ?? 1;
    this.#pending = state?.pending ?? 0;
    this.#settled = state?.settled ?? 0;
    this.#forfeited = state?.forfeited ?? 0;
  }

  /** Bets on a signal that both models have answered, with P(meta-label = 1) of each; null when they agree and there is nothing to bet on. Throws OUT_OF_RANGE outside [0, 1]. */
  stake(confidenceNew: number, confidenceOld: number): Stake | null {
    const pNew = clipped(confidenceNew, 'confidenceNew');
    const pOld = clipped(confidenceOld, 'confidenceOld');
    const lossIfOne = Math.log(pOld / pNew);
    const lossIfZero = Math.log((1 - pOld) / (1 - pNew));
    // Different probabilities: one label speaks for the new model and one against it.
    const b = -Math.min(lossIfOne, lossIfZero);
    const win = Math.max(lossIfOne, lossIfZero);
    if (!(b > 0 && win > 0)) return null;
    const shares = BET_SIZES.map((size, k) => (Math.min(size, RISK_MAX / b) * this.#cash[k]!) / this.#concurrency);
    const reserves = shares.map((share) => share * b);
    for (const [k, reserve] of reserves.entries()) this.#cash[k] = this.#cash[k]! - reserve;
    this.#pending++;
    return { wins: lossIfOne > 0 ? 1 : 0, reserves, payouts: shares.map((share) => share * (b + win)) };
  }

  /** The horizon has closed on this label. */
  settle(stake: Stake, metaLabel: 0 | 1): void {
    this.#close();
    this.#settled++;
    if (metaLabel !== stake.wins) return;
    for (const [k, payout] of stake.payouts.entries()) this.#cash[k] = this.#cash[k]! + payout;
    this.#eValueMax = Math.max(this.#eValueMax, this.eValue);
  }

  /**
   * The label will never be known: censored or expired. The reserve is lost, which keeps the bound whatever decides which labels are missing, even if it is the ones that
   * speak for the new model: V loses s·(b + E[ d | what is known now ]) >= 0. To hand it back would set d to 0, which is fair only if missing has nothing to do with the label.
   */
  forfeit(_stake: Stake): void {
    this.#close();
    this.#forfeited++;
  }

  /** E: the mean cash, with what is pending counted as lost. */
  get eValue(): number {
    return this.#cash.reduce((sum, cash) => sum + cash, 0) / this.#cash.length;
  }

  /** Whether E has ever reached 10. It may fall again: the bound holds for ever having reached it. */
  get hasRefuted(): boolean {
    return this.#eValueMax >= E_REFUTING;
  }

  toState(): RollbackEvidenceState {
    return {
      concurrency: this.#concurrency,
      cash: [...this.#cash],
      eValueMax: this.#eValueMax,
      pending: this.#pending,
      settled: this.#settled,
      forfeited: this.#forfeited,
    };
  }

  #close(): void {
    invariant(this.#pending > 0, 'a stake is closed once');
    this.#pending--;
  }
}

function clipped(confidence: number, field: string): number {
  if (!(confidence >= 0 && confidence <= 1)) {
    throw new OrchestratorError('OUT_OF_RANGE', `${field} ${confidence} is not in [0, 1]`, { field });
  }
  return Math.min(Math.max(confidence, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
}
