// What `relevo prove` can do at most: it must not be the bottleneck of what it measures.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

import { run } from '../lib/children.mjs';

const stubOf = ({ relevo }) => path.join(path.dirname(relevo), 'examples', 'stub');

export const instrument = {
  name: 'instrument',
  title: 'The instrument',
  what: ({ wrkSeconds }) => `requests per second that \`relevo prove --think 0 --mix keep-alive=64\` makes on one CPU, for ${wrkSeconds} s, against a server that does nothing (the example \`stub\`, on another CPU); `
    + 'and `wrk -t1 -c64` beside it',
  peers: ['relevo-auto'],
  columns: { prove: ['prove: requests/s', 0], lost: ['lost', 0], wrk: ['wrk: requests/s', 0] },

  unavailable: (tools) => (existsSync(stubOf(tools)) ? null : 'no example `stub`: run cargo build --release -p relevo-prove --example stub'),

  // No peer has a part in it.
  async collect(names, { runs, tools, settings, progress }) {
    const samples = [];
    for (let at = 0; at < runs; at += 1) {
      progress(`instrument: run ${at + 1} of ${runs}`);
      samples.push(await sample(tools, settings.wrkSeconds));
    }
    return Object.fromEntries(names.map((name) => [name, samples]));
  },

  bars: [
    { text: 'prove: requests/s on one CPU', value: (m) => m['relevo-auto'].prove, atLeast: 50_000 },
  ],
};

async function sample(tools, seconds) {
  const stub = spawn('taskset', ['-c', '1', stubOf(tools), '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const address = await new Promise((resolve, reject) => {
      stub.once('error', reject);
      stub.stdout.once('data', (text) => resolve(String(text).trim()));
    });
    const url = `http://${address}/`;
    const words = ['prove', url, '--json', '--reloads', '0', '--seconds', String(seconds), '--think', '0', '--mix', 'keep-alive=64'];
    const proved = JSON.parse(await onCpu0(tools.relevo, words, seconds));
    const { requests, duration_ms: ms } = proved;
    const lost = requests.begun - requests.answered;
    const wrk = /Requests\/sec: *([\d.]+)/.exec(await onCpu0('wrk', ['-t1', '-c64', `-d${seconds}`, url], seconds));
    return { prove: requests.answered / ms * 1000, lost, wrk: Number(wrk[1]) };
  } finally {
    stub.kill();
  }
}

async function onCpu0(program, words, seconds) {
  const { code, stdout, stderr } = await run('taskset', ['-c', '0', program, ...words], { timeoutMs: (seconds + 30) * 1000 });
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr.trim()}`);
  return stdout;
}
