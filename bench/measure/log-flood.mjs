// Workers that write a great deal: does a new connection wait for a log line?
import { setTimeout as pause } from 'node:timers/promises';

import { visits } from '../lib/connections.mjs';
import { until } from '../lib/children.mjs';
import { workers } from '../lib/peers.mjs';
import { percentile } from '../lib/stats.mjs';

const linesPerSecond = 100_000;
const perSecond = 200;
// Until the flood runs evenly, and until what it left behind has been written.
const settleMs = 500;

export const logFlood = {
  name: 'log-flood',
  title: 'New connections under a flood of log lines',
  what: ({ floodSeconds }) => `the 99th percentile in milliseconds of ${perSecond} new connections a second, one request each, for ${floodSeconds} s while the workers are *quiet*, and for ${floodSeconds} s while they write ${linesPerSecond.toLocaleString('en-US')} lines of 100 bytes a second in all. `
    + 'Relevo gets them through pipes and writes them to /dev/null; cluster’s workers write there themselves, so that what the writing alone costs a worker is seen',
  peers: ['cluster', 'relevo-auto'],
  columns: { quiet: ['quiet ms', 2], flood: ['flood ms', 2], ratio: ['ratio', 2], lines: ['lines/s', 0], failed: ['not served', 0] },
  shapes: () => [{ app: 'logging-app.cjs', env: { LINES_PER_SECOND: linesPerSecond / workers }, stdout: 'ignore' }],

  async sample(peer, { floodSeconds }) {
    const port = peer.ports[0];
    const round = () => visits(port, { count: perSecond * floodSeconds, perSecond });
    await visits(port, { count: perSecond, perSecond });
    const quiet = await round();
    toggle(peer);
    const began = performance.now();
    await pause(settleMs);
    const flood = await round();
    toggle(peer);
    const seconds = (performance.now() - began) / 1000;
    if (!await until(() => linesWritten(peer).length === workers, 5000)) throw new Error(`log-flood: a worker did not say what it wrote\n${peer.output()}`);
    const lines = linesWritten(peer).reduce((sum, each) => sum + each, 0);
    const [quietMs, floodMs] = [quiet, flood].map((times) => percentile(times, 0.99));
    const failed = [...quiet, ...flood].filter((ms) => ms === Infinity).length;
    return { quiet: quietMs, flood: floodMs, ratio: floodMs / quietMs, lines: lines / seconds, failed };
  },

  bars: [
    { text: 'auto: 99th percentile under the flood in parts of that while quiet', value: (m) => m['relevo-auto'].ratio, atMost: 1.5 },
    { text: 'auto: lines a second', value: (m) => m['relevo-auto'].lines, atLeast: 0.95 * linesPerSecond },
  ],
};

function toggle(peer) {
  for (const pid of peer.workers()) process.kill(pid, 'SIGUSR2');
}

const linesWritten = (peer) => [...peer.output().matchAll(/^lines written: (\d+)$/gm)].map(([, lines]) => Number(lines));
