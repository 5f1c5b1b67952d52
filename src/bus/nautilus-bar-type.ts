/** What a NautilusTrader bar type says: `BTC-USD-PERP.HYPERLIQUID-1-MINUTE-LAST-EXTERNAL`. */
export interface NautilusBarType {
  /** SYMBOL.VENUE */
  readonly instrumentId: string;
  /** STEP-AGGREGATION-PRICE */
  readonly spec: string;
  readonly source: 'EXTERNAL' | 'INTERNAL';
}

/** Longer than any name; bounds what is searched. */
const LENGTH_MAX = 512;
const STEP = /^[1-9]\d{0,8}$/;
const AGGREGATIONS = new Set([
  ...['TICK', 'TICK_IMBALANCE', 'TICK_RUNS', 'VOLUME', 'VOLUME_IMBALANCE', 'VOLUME_RUNS'],
  ...['VALUE', 'VALUE_IMBALANCE', 'VALUE_RUNS', 'MILLISECOND', 'SECOND', 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH'],
  ...['YEAR', 'RENKO'],
]);
/** A step of time divides the next unit, and is less than it: 60-MINUTE is written 1-HOUR. */
const STEPS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['MILLISECOND', 1000],
  ['SECOND', 60],
  ['MINUTE', 60],
  ['HOUR', 24],
  ['MONTH', 12],
]);
const PRICES = new Set(['BID', 'ASK', 'MID', 'LAST', 'MARK']);

/** null for what is no bar type. Of a composite one, `…@1-MINUTE-EXTERNAL`, the part that bars carry. Words may be in any case. */
export function parseNautilusBarType(text: string): NautilusBarType | null {
  if (text.length > LENGTH_MAX) return null;
  const [standard, composite, ...rest] = text.split('@');
  if (rest.length > 0 || (composite !== undefined && !isComposite(composite))) return null;
  // From the right: instruments have dashes of their own.
  const parts = standard!.split('-');
  const [step = '', aggregation = '', price = '', source = ''] = parts.splice(-4).map((part) => part.toUpperCase());
  const instrumentId = parts.join('-');
  if (!isNautilusInstrumentId(instrumentId) || !isStep(step, aggregation) || !PRICES.has(price)) return null;
  if (!isSource(source)) return null;
  return { instrumentId, spec: `${step}-${aggregation}-${price}`, source };
}

/** SYMBOL.VENUE, parted at the last dot. */
export function isNautilusInstrumentId(text: string): boolean {
  const dot = text.lastIndexOf('.');
  return dot > 0 && dot < text.length - 1;
}

function isComposite(text: string): boolean {
  const [step = '', aggregation = '', source = '', ...rest] = text.toUpperCase().split('-');
  return rest.length === 0 && isStep(step, aggregation) && isSource(source);
}

function isStep(step: string, aggregation: string): boolean {
  if (!STEP.test(step) || !AGGREGATIONS.has(aggregation)) return false;
  const steps = STEPS_PER_UNIT.get(aggregation);
  return steps === undefined || (Number(step) < steps && steps % Number(step) === 0);
}

function isSource(text: string): text is NautilusBarType['source'] {
  return text === 'EXTERNAL' || text === 'INTERNAL';
}
