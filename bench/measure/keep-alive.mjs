// Requests on connections that stay: nothing of ours should be in their way.
import { ab, wrk } from '../lib/load.mjs';

export const keepAlive = {
  name: 'keep-alive',
  title: 'Keep-alive throughput',
  what: ({ wrkSeconds }) => `requests per second over 64 connections, from two \`wrk -t1 -c32\`, for ${wrkSeconds} s`,
  peers: ['bare', 'cluster', 'cluster-none', 'pm2', 'relevo-auto', 'relevo-kernel', 'relevo-round-robin'],
  columns: { perSecond: ['requests/s', 0], errors: ['errors', 0] },

  async sample(peer, { warmUpRequests, wrkSeconds }) {
    await ab(peer, { requests: warmUpRequests, concurrency: 50, generators: 2 });
    return wrk(peer, { connections: 64, seconds: wrkSeconds, generators: 2 });
  },

  bars: [
    { text: 'kernel: requests/s in parts of bare node’s', value: (m) => m['relevo-kernel'].perSecond / m.bare.perSecond, atLeast: 0.97 },
  ],
};
