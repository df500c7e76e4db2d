// The results as text for the terminal and as docs/benchmarks.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';

import { run } from './children.mjs';
import { isRelevo, titles, version, workers } from './peers.mjs';
import { markdown, plain, spread } from './table.mjs';

// A result is { measure, summaries, verdicts, settings, runs }.
export function print(result) {
  const { measure, summaries, verdicts, settings } = result;
  console.log(`\n${measure.title}: ${measure.what(settings).replaceAll(/[*`]/g, '')}\n`);
  console.log(plain(...table(measure, summaries)));
  if (verdicts.length > 0) console.log(`\n${plain(...verdictTable(verdicts))}`);
}

export async function environment(tools, names) {
  const firstLine = async (command, args) => (await run(command, args, { timeoutMs: 5000 })).stdout.trim().split('\n')[0];
  const versions = [`node ${await version('bare', tools)}`];
  if (names.includes('pm2')) versions.push(`PM2 ${await version('pm2', tools)}`);
  if (names.some(isRelevo)) versions.push(await version(names.find(isRelevo), tools));
  return {
    machine: `${os.cpus().length} × ${os.cpus()[0].model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${os.release()}, net.core.somaxconn ${readFileSync('/proc/sys/net/core/somaxconn', 'utf8').trim()}`,
    versions: versions.join(', '),
    generators: [
      (await firstLine('ab', ['-V'])).replace(/^This is ApacheBench, Version ([\d.]+).*/, 'ab $1'),
      (await firstLine('wrk', ['-v'])).replace(/^(wrk \S+).*/, '$1'),
    ].join(', '),
  };
}

// Sections of measures that were not run are left as they are: each says when and with what it was measured.
export function write(file, { date, facts, results, titlesInOrder }) {
  const sections = existing(file);
  for (const { measure, summaries, verdicts, settings, runs } of results) {
    sections.set(measure.title, [
      `## ${measure.title}`,
      `${measure.what(settings)}.`,
      `*${date}: ${runs} interleaved runs; ${Object.values(facts).join('; ')}.*`,
      markdown(...table(measure, summaries)),
      ...(verdicts.length > 0 ? [markdown(...verdictTable(verdicts))] : []),
    ].join('\n\n'));
  }
  writeFileSync(file, `${[
    '# Benchmarks',
    '<!-- Written by `node bench/run.mjs --write`; do not edit. -->',
    'Client and servers on one machine over loopback: read the ratios, not the absolute values. '
      + `${workers} workers each where nothing else is said; the runs of the peers take turns, each on a peer started afresh; median (lowest–highest).`,
    ...titlesInOrder.filter((title) => sections.has(title)).map((title) => sections.get(title)),
  ].join('\n\n')}\n`);
}

// The sections of the document by their titles.
function existing(file) {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const parts = text.split(/^(?=## )/m).slice(1);
  return new Map(parts.map((part) => [/^## (.*)/.exec(part)[1], part.trim()]));
}

function table(measure, summaries) {
  const columns = Object.entries(measure.columns);
  // With more columns than fit beside each other, the peers are beside each other.
  if (measure.across) {
    return [
      ['', ...Object.keys(summaries).map((peer) => titles[peer])],
      columns.map(([key, [title, digits]]) => [title, ...Object.values(summaries).map((summary) => spread(summary[key], digits))]),
    ];
  }
  return [
    ['', ...columns.map(([, [title]]) => title)],
    Object.entries(summaries).map(([peer, summary]) => [titles[peer], ...columns.map(([key, [, digits]]) => spread(summary[key], digits))]),
  ];
}

function verdictTable(verdicts) {
  return [['bar', 'measured', 'limit', 'verdict'], verdicts.map(({ text, value, limit, verdict }) => [text, value, limit, verdict])];
}
