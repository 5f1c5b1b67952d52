import type { GateFigures, GateReason, GateVerdict } from './strict-gate.js';

/** What was decided, on what, and why, for a person to read. */
export function describeVerdict(
  verdict: GateVerdict['verdict'],
  reasons: readonly GateReason[],
  figures: GateFigures,
): string {
  const labels = `${figures.n.toLocaleString('en-US')} labels`;
  const found = `over ${labels} it gains ${nats(figures.meanGain)} nats on the champion (t ${figures.t.toFixed(2)}, needed ${figures.quantile.toFixed(2)})`;
  const because = reasons.map((reason) => describeReason(reason, figures)).join('; ');
  switch (verdict) {
    case 'promote':
      return `The challenger is promoted: ${found}.`;
    case 'reject':
      return `The challenger is rejected: ${found}, but ${because}.${describeNeed(figures)}`;
    case 'insufficient-evidence':
      return `The challenger was not tested on its ${labels}: ${because}.${describeNeed(figures)}`;
  }
}

function describeReason(reason: GateReason, figures: GateFigures): string {
  const { calibration } = figures;
  const slope = `calibration slope ${calibration.slope.toFixed(2)}, 95 % from ${calibration.lower.toFixed(2)} to ${calibration.upper.toFixed(2)}`;
  switch (reason) {
    case 'no-token':
      return 'no test is left to take';
    case 'tested-already':
      return 'most of them have been tested on before';
    case 'too-little-power':
      return `even if it were right, the test would hardly show it (expected t ${figures.expectedT.toFixed(2)})`;
    case 'too-few-blocks':
      return 'they fill too few independent stretches of time';
    case 'gain-not-significant':
      return 'the gain may be chance';
    case 'gain-too-small':
      return `the gain is below ${nats(figures.gainMin)} nats`;
    case 'slope-not-positive':
      return 'returns do not rise with its confidence';
    case 'brier-worse':
      return `its Brier score is ${nats(figures.challengerBrier)} against ${nats(figures.championBrier)}`;
    case 'overconfident':
      return `it is overconfident (${slope})`;
    case 'underconfident':
      return `it is underconfident (${slope})`;
  }
}

function describeNeed({ neededLabels, etaDays }: GateFigures): string {
  if (neededLabels === null || neededLabels === 0) return '';
  const days = etaDays === null ? '' : `, some ${etaDays.toLocaleString('en-US')} days at this rate`;
  return ` A gain like this one would show on about ${neededLabels.toLocaleString('en-US')} more labels${days}.`;
}

function nats(value: number): string {
  return value.toFixed(4);
}
