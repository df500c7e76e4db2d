// Tables for the terminal and for Markdown, from the same rows.

// A number with its spread: `12.3 (11.9–12.8)`; without one when all runs gave the same.
export function spread(value, digits) {
  if (value === null || value === undefined) return '–';
  const text = (number) => number.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const [middle, low, high] = [value.median, value.min, value.max].map(text);
  return low === high ? middle : `${middle} (${low}–${high})`;
}

export function plain(header, rows) {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, column) => (column ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  ');
  return [line(header), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

export function markdown(header, rows) {
  const line = (row) => `| ${row.join(' | ')} |`;
  return [line(header), line(header.map((_, column) => (column ? '---:' : '---'))), ...rows.map(line)].join('\n');
}
