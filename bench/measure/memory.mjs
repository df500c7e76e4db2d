// What the manager itself takes, its workers left out.
import { setTimeout as pause } from 'node:timers/promises';

import { ab, wrk } from '../lib/load.mjs';
import { pssBytes } from '../lib/proc.mjs';

export const memory = {
  name: 'memory',
  title: 'Memory of the manager',
  what: ({ memoryRequests }) => `proportional set size in MB of all of the manager’s processes, workers left out: idle, and 2 s after ${memoryRequests.toLocaleString('en-US')} connections and some seconds of keep-alive`,
  peers: ['cluster', 'cluster-none', 'pm2', 'relevo-auto', 'relevo-kernel', 'relevo-round-robin'],
  columns: { idle: ['idle MB', 1], loaded: ['after load MB', 1] },

  async sample(peer, { memoryRequests }) {
    await pause(2000);
    const idle = pssBytes(peer.primaries()) / 1e6;
    await ab(peer, { requests: memoryRequests, concurrency: 100 });
    await wrk(peer, { connections: 64, seconds: 2 });
    await pause(2000);
    return { idle, loaded: pssBytes(peer.primaries()) / 1e6 };
  },

  bars: [
    { text: 'auto, idle: MB', value: (m) => m['relevo-auto'].idle, atMost: 6 },
    { text: 'auto, after load: MB', value: (m) => m['relevo-auto'].loaded, atMost: 6 },
    { text: 'kernel, idle: MB', value: (m) => m['relevo-kernel'].idle, atMost: 6 },
    { text: 'kernel, after load: MB', value: (m) => m['relevo-kernel'].loaded, atMost: 6 },
    { text: 'round-robin, idle: MB', value: (m) => m['relevo-round-robin'].idle, atMost: 6 },
    { text: 'round-robin, after load: MB', value: (m) => m['relevo-round-robin'].loaded, atMost: 6 },
  ],
};
