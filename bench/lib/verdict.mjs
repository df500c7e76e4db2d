// Whether a measure's bars were reached.
import { median } from './stats.mjs';

// `value` of a bar gets the medians of every peer ({ peer: { key: median } }), or, if the bar is
// for the worst run, the highest; with `paired` it gets the samples of one run after the other, and the median of what comes of
// that counts: where a machine is slower in some minutes than in others, peers are compared within a run only.
// Resolves to lines of { text, value, limit, verdict }.
export function judge(bars, summaries, samples) {
  return bars.map((bar) => {
    const value = bar.paired ? pairedValueOf(bar, samples) : valueOf(bar, summaries);
    const [limit, ok] = bar.atLeast !== undefined ? [`≥ ${bar.atLeast}`, value >= bar.atLeast]
      : bar.below !== undefined ? [`< ${bar.below}`, value < bar.below]
      : [`≤ ${bar.atMost}`, value <= bar.atMost];
    if (value === null) return { text: bar.text, value: '–', limit, verdict: 'not measured' };
    return { text: bar.text, value: value.toLocaleString('en-US', { maximumFractionDigits: 2 }), limit, verdict: ok ? 'reached' : 'MISSED' };
  });
}

function pairedValueOf(bar, samples) {
  const runs = Math.min(...Object.values(samples).map((all) => all.length));
  const values = Array.from({ length: runs }, (_, run) => {
    const ofRun = Object.fromEntries(Object.entries(samples).map(([peer, all]) => [peer, all[run]]));
    return tried(() => bar.value(ofRun));
  });
  return values.includes(null) ? null : median(values);
}

function valueOf(bar, summaries) {
  const figures = {};
  for (const [peer, summary] of Object.entries(summaries)) {
    figures[peer] = Object.fromEntries(Object.entries(summary).map(([key, value]) => [key, value?.[bar.worst ? 'max' : 'median'] ?? NaN]));
  }
  return tried(() => bar.value(figures));
}

function tried(compute) {
  try {
    const value = compute();
    return Number.isFinite(value) ? value : null;
  } catch (error) {
    // A peer that was left out.
    if (error instanceof TypeError) return null;
    throw error;
  }
}
