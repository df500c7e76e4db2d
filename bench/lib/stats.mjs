export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The lowest value that this part of all does not exceed.
export function percentile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

// Of samples that are objects of numbers: for each key the median and the spread. What is not
// known in one of the samples is not known.
export function summarize(samples) {
  const summary = {};
  for (const key of Object.keys(samples[0] ?? {})) {
    const values = samples.map((sample) => sample[key]);
    const known = values.every((value) => Number.isFinite(value));
    summary[key] = known ? { median: median(values), min: Math.min(...values), max: Math.max(...values) } : null;
  }
  return summary;
}
