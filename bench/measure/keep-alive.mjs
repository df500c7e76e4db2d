// Requests on connections that stay: nothing of ours should be in their way.
import { ab, wrk } from '../lib/load.mjs';
import { cpuSeconds } from '../lib/proc.mjs';

export const keepAlive = {
  name: 'keep-alive',
  title: 'Keep-alive throughput',
  what: ({ wrkSeconds }) => `requests per second over 64 connections, from two \`wrk -t1 -c32\`, for ${wrkSeconds} s, and the workers' CPU time for each; twice as many runs as usual, compared within each run, since runs differ by more than the peers do. With one port for both workers the kernel deals 64 connections by a hash, so seldom evenly, and both generators talk to both workers: what that costs by itself, bare node on one port shows`,
  peers: ['bare', 'bare-one-port', 'cluster', 'cluster-none', 'pm2', 'relevo-auto', 'relevo-kernel', 'relevo-round-robin'],
  columns: { perSecond: ['requests/s', 0], cpuMicros: ['CPU µs/request', 1], errors: ['errors', 0] },
  times: 2,

  async sample(peer, { warmUpRequests, wrkSeconds }) {
    await ab(peer, { requests: warmUpRequests, concurrency: 50, generators: 2 });
    const processes = peer.workers();
    const before = cpuSeconds(processes);
    const { perSecond, errors } = await wrk(peer, { connections: 64, seconds: wrkSeconds, generators: 2 });
    return { perSecond, errors, cpuMicros: (1e6 * (cpuSeconds(processes) - before)) / (perSecond * wrkSeconds) };
  },

  bars: [
    { text: 'kernel: requests/s in parts of bare node’s', paired: true, value: (m) => m['relevo-kernel'].perSecond / m.bare.perSecond, atLeast: 0.97 },
    { text: 'kernel: requests/s in parts of bare node’s on one port', paired: true, value: (m) => m['relevo-kernel'].perSecond / m['bare-one-port'].perSecond, atLeast: 0.97 },
  ],
};
