// `auto` under more connections than are worth dealing: is it `kernel` then?
import { setTimeout as pause } from 'node:timers/promises';

import { ab, warmUp } from '../lib/load.mjs';
import { cpuSeconds } from '../lib/proc.mjs';

const concurrency = 200;
const warmUpSeconds = 4;

export const autoRate = {
  name: 'auto-rate',
  title: 'Auto at full rate',
  what: ({ requests }) => `requests per second with a connection for each, \`ab -n ${requests} -c ${concurrency}\`, after ${warmUpSeconds} s of the same so that \`auto\` has settled, and the primary’s share of all CPU time meanwhile. `
    + '*Unsettled*: `relevo status` did not say, before and after, that the kernel deals',
  peers: ['relevo-auto', 'relevo-kernel'],
  columns: { perSecond: ['requests/s', 0], primary: ['primary s', 2], workers: ['workers s', 2], share: ['primary %', 2], unsettled: ['unsettled', 0], failed: ['not served', 0] },

  async sample(peer, { requests }) {
    await warmUp(peer, { seconds: warmUpSeconds, concurrency });
    const settledBefore = await isSettled(peer);
    const primaries = peer.primaries();
    const processes = peer.workers();
    const before = [cpuSeconds(primaries), cpuSeconds(processes)];
    const { perSecond, failed } = await ab(peer, { requests, concurrency });
    await pause(300);
    const primary = cpuSeconds(primaries) - before[0];
    const workers = cpuSeconds(processes) - before[1];
    const unsettled = settledBefore && await isSettled(peer) ? 0 : 1;
    return { perSecond, primary, workers, share: (100 * primary) / (primary + workers), unsettled, failed };
  },

  bars: [
    { text: 'auto: requests/s in parts of kernel’s', value: (m) => m['relevo-auto'].perSecond / m['relevo-kernel'].perSecond, atLeast: 0.97 },
    { text: 'auto, settled: the primary’s share, %', value: (m) => m['relevo-auto'].share, atMost: 3 },
    { text: 'auto: runs in which it was not settled', value: (m) => m['relevo-auto'].unsettled, atMost: 0, worst: true },
  ],
};

async function isSettled(peer) {
  const { listeners } = await peer.status();
  return listeners.every(({ dealing }) => dealing === 'kernel');
}
