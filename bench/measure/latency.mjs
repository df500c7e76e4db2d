// A thousand clients at once: who waits for whom, and does a queue overflow?
import { ab } from '../lib/load.mjs';

export const latency = {
  name: 'latency',
  title: 'Latency at 1,000 concurrent connections',
  what: ({ requests }) => `milliseconds of a request, \`ab -n ${requests} -c 1000\`; a connection for each`,
  peers: ['cluster', 'cluster-none', 'pm2', 'relevo-kernel', 'relevo-round-robin'],
  columns: { p50Ms: ['median ms', 0], p99Ms: ['99th ms', 0], longestMs: ['longest ms', 0], perSecond: ['requests/s', 0], failed: ['not served', 0] },

  async sample(peer, { requests, warmUpRequests }) {
    await ab(peer, { requests: warmUpRequests, concurrency: 50 });
    return ab(peer, { requests, concurrency: 1000 });
  },

  bars: [
    { text: 'kernel: 99th percentile in parts of cluster’s with SCHED_NONE', value: (m) => m['relevo-kernel'].p99Ms / m['cluster-none'].p99Ms, atMost: 0.4 },
    { text: 'kernel: 99th percentile, ms (1 s is a backlog that overflowed)', value: (m) => m['relevo-kernel'].p99Ms, below: 1000 },
  ],
};
