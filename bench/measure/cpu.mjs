// What a new connection costs: the CPU time of everything that serves, not of the load generator.
import { ab } from '../lib/load.mjs';
import { cpuSeconds } from '../lib/proc.mjs';
import { setTimeout as pause } from 'node:timers/promises';

export const cpu = {
  name: 'cpu',
  title: 'CPU for new connections',
  what: ({ requests }) => `CPU seconds for ${requests.toLocaleString('en-US')} connections of one request each, from two \`ab\` of 50 concurrent; *auto* deals those of the first seconds itself. Compared within each run. What one port for both workers costs by itself, bare node on one port shows`,
  peers: ['bare', 'bare-one-port', 'cluster', 'cluster-none', 'pm2', 'relevo-auto', 'relevo-kernel', 'relevo-round-robin'],
  columns: { total: ['CPU s', 2], primary: ['primary s', 2], workers: ['workers s', 2], share: ['primary %', 2], failed: ['not served', 0] },

  async sample(peer, { requests, warmUpRequests }) {
    await ab(peer, { requests: warmUpRequests, concurrency: 50, generators: 2 });
    const primaries = peer.primaries();
    const processes = peer.workers();
    const before = [cpuSeconds(primaries), cpuSeconds(processes)];
    const { failed } = await ab(peer, { requests, concurrency: 100, generators: 2 });
    // The last connections are still being closed.
    await pause(300);
    const primary = cpuSeconds(primaries) - before[0];
    const workers = cpuSeconds(processes) - before[1];
    return { total: primary + workers, primary, workers, share: (100 * primary) / (primary + workers), failed };
  },

  bars: [
    { text: 'kernel: CPU in parts of bare node’s', paired: true, value: (m) => m['relevo-kernel'].total / m.bare.total, atMost: 1.10 },
    { text: 'kernel: CPU in parts of bare node’s on one port', paired: true, value: (m) => m['relevo-kernel'].total / m['bare-one-port'].total, atMost: 1.10 },
    { text: 'kernel: CPU in parts of cluster’s round robin’s', paired: true, value: (m) => m['relevo-kernel'].total / m.cluster.total, atMost: 0.55 },
    { text: 'kernel: the primary’s share, %', value: (m) => m['relevo-kernel'].share, atMost: 1 },
  ],
};
