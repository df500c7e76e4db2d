// Relevo beside its peers, in one run. `node bench/run.mjs --help` says how.
import { existsSync } from 'node:fs';

import { interleave } from './lib/interleave.mjs';
import { help, readOptions } from './lib/options.mjs';
import { isRelevo, missing } from './lib/peers.mjs';
import { environment, print, write } from './lib/report.mjs';
import { summarize } from './lib/stats.mjs';
import { judge } from './lib/verdict.mjs';
import { autoRate } from './measure/auto-rate.mjs';
import { blocked } from './measure/blocked.mjs';
import { crash } from './measure/crash.mjs';
import { cpu } from './measure/cpu.mjs';
import { dealing } from './measure/dealing.mjs';
import { firstRequest } from './measure/first-request.mjs';
import { handover } from './measure/handover.mjs';
import { instrument } from './measure/instrument.mjs';
import { keepAlive } from './measure/keep-alive.mjs';
import { latency } from './measure/latency.mjs';
import { logFlood } from './measure/log-flood.mjs';
import { losses } from './measure/losses.mjs';
import { memory } from './measure/memory.mjs';
import { proved } from './measure/proved.mjs';
import { scale } from './measure/scale.mjs';
import { slots64 } from './measure/slots64.mjs';
import { spread } from './measure/spread.mjs';
import { wakeups } from './measure/wakeups.mjs';

const measures = [cpu, keepAlive, latency, dealing, autoRate, spread, blocked, logFlood, memory, slots64, wakeups, firstRequest, crash, losses, handover, proved, scale, instrument];

const full = {
  requests: 100_000, warmUpRequests: 5000, wrkSeconds: 10, memoryRequests: 20_000, idleSeconds: 60, lossSeconds: 10,
  spreadWorkers: [4, 8], spreadSettleMs: 1000, blockMs: 3000, floodSeconds: 10, scaleSeconds: 60, handoverConnections: 10_000,
};
const short = {
  requests: 4000, warmUpRequests: 500, wrkSeconds: 1, memoryRequests: 2000, idleSeconds: 10, lossSeconds: 6,
  spreadWorkers: [4], spreadSettleMs: 200, blockMs: 1000, floodSeconds: 1, scaleSeconds: 6, handoverConnections: 400,
};

async function main() {
  const options = readOptions(process.argv.slice(2), measures.map(({ name }) => name));
  if (options.help) return console.log(help);

  const settings = { ...(options.short ? short : full), ...options.settings };
  const wanted = measures.filter(({ name }) => options.only.includes(name));
  const available = choosePeers(wanted, options);
  const chosen = await chooseMeasures(wanted, options);

  const facts = await environment(options.tools, available);
  console.log(Object.entries(facts).map(([key, value]) => `${key}: ${value}`).join('\n'));

  const results = [];
  for (const measure of chosen) {
    const names = measure.peers.filter((name) => available.includes(name));
    const collect = measure.collect ?? ((...args) => interleave(measure, ...args));
    // Of what takes little time, or differs much from run to run, there are several times as many.
    const runs = options.runs * (measure.times ?? 1);
    const samples = await collect(names, { runs, tools: options.tools, settings, progress });
    progress('');
    const summaries = Object.fromEntries(names.map((name) => [name, summarize(samples[name])]));
    const verdicts = options.short ? [] : judge(measure.bars, summaries, samples);
    results.push({ measure, summaries, verdicts, settings, runs: Math.max(...Object.values(samples).map((all) => all.length)) });
    print(results.at(-1));
  }

  if (options.write) {
    write(options.document, { date: options.date, facts, results, titlesInOrder: measures.map(({ title }) => title) });
  }
  const missed = results.flatMap(({ verdicts }) => verdicts).filter(({ verdict }) => verdict !== 'reached' && !(options.peersOnly && verdict === 'not measured'));
  if (missed.length > 0) {
    console.error(`\n${missed.length} bars were not reached.`);
    process.exitCode = 1;
  }
}

// A peer that cannot be run is an error, but for Relevo itself under --peers-only, and for what is no npm package.
function choosePeers(chosen, { tools, peersOnly }) {
  return [...new Set(chosen.flatMap(({ peers }) => peers))].filter((name) => {
    const reason = missing(name, tools);
    if (!reason) return true;
    if (!(isRelevo(name) && peersOnly) && name !== 'nginx') throw Object.assign(new Error(`${name}: ${reason}`), { usage: true });
    console.error(`skipped: ${name}: ${reason}`);
    return false;
  });
}

// What this Relevo cannot do yet is left out, and that is said.
async function chooseMeasures(wanted, { tools }) {
  const chosen = [];
  for (const measure of wanted) {
    const reason = existsSync(tools.relevo) ? await measure.unavailable?.(tools) : null;
    if (reason) console.error(`skipped: ${measure.name}: ${reason}`);
    else chosen.push(measure);
  }
  return chosen;
}

// One line that is written over, on a terminal only.
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

main().catch((error) => {
  progress('');
  console.error(error.usage ? error.message : error.stack);
  // By exit, so that what is still running is ended.
  process.exit(error.usage ? 2 : 1);
});
