// Connections dealt by the primary, one by one: Relevo's against Node's.
import { ab } from '../lib/load.mjs';
import { cpuSeconds } from '../lib/proc.mjs';

export const dealing = {
  name: 'dealing',
  title: 'Dealing',
  what: ({ requests }) => `requests per second with a connection for each, \`ab -n ${requests} -c 100\`, and the primary’s CPU seconds for them`,
  peers: ['cluster', 'pm2', 'relevo-round-robin'],
  columns: { perSecond: ['requests/s', 0], primary: ['primary s', 2], failed: ['not served', 0] },

  async sample(peer, { requests, warmUpRequests }) {
    await ab(peer, { requests: warmUpRequests, concurrency: 50 });
    const primaries = peer.primaries();
    const before = cpuSeconds(primaries);
    const { perSecond, failed } = await ab(peer, { requests, concurrency: 100 });
    return { perSecond, primary: cpuSeconds(primaries) - before, failed };
  },

  bars: [
    { text: 'round-robin: requests/s in parts of cluster’s', value: (m) => m['relevo-round-robin'].perSecond / m.cluster.perSecond, atLeast: 1.15 },
    { text: 'round-robin: the primary’s CPU in parts of cluster’s primary’s', value: (m) => m['relevo-round-robin'].primary / m.cluster.primary, atMost: 0.5 },
  ],
};
