// Whether a measure's bars were reached.

// `value` of a bar gets the medians of every peer ({ peer: { key: median } }), or, if the bar is
// for the worst run, the highest. Resolves to lines of { text, value, limit, verdict }.
export function judge(bars, summaries) {
  return bars.map((bar) => {
    const value = valueOf(bar, summaries);
    const [limit, ok] = bar.atLeast !== undefined ? [`≥ ${bar.atLeast}`, value >= bar.atLeast]
      : bar.below !== undefined ? [`< ${bar.below}`, value < bar.below]
      : [`≤ ${bar.atMost}`, value <= bar.atMost];
    if (value === null) return { text: bar.text, value: '–', limit, verdict: 'not measured' };
    return { text: bar.text, value: value.toLocaleString('en-US', { maximumFractionDigits: 2 }), limit, verdict: ok ? 'reached' : 'MISSED' };
  });
}

function valueOf(bar, summaries) {
  const figures = {};
  for (const [peer, summary] of Object.entries(summaries)) {
    figures[peer] = Object.fromEntries(Object.entries(summary).map(([key, value]) => [key, value?.[bar.worst ? 'max' : 'median'] ?? NaN]));
  }
  try {
    const value = bar.value(figures);
    return Number.isFinite(value) ? value : null;
  } catch (error) {
    // A peer that was left out.
    if (error instanceof TypeError) return null;
    throw error;
  }
}
