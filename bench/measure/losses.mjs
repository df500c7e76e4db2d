// What reloads cost the clients.
import { setTimeout as pause } from 'node:timers/promises';

import { drive, lostWays } from '../lib/mixed-client.mjs';

const clients = { new: 8, keep: 30, pipeline: 6, upload: 6 };
const reloadEveryMs = 2500;

export const losses = {
  name: 'losses',
  title: 'Requests lost to reloads',
  what: ({ lossSeconds }) => `${lossSeconds} s of ${Object.entries(clients).map(([kind, many]) => `${many} ${kind}`).join(', ')} clients, a reload every ${reloadEveryMs / 1000} s. `
    + '*Cut*: ended while being worked on; *refused*, *hung*, *wrong*: as it says; these four were in flight. '
    + '*Race*: sent just as the server closed the idle connection. *Behind*: pipelined behind an answer with `Connection: close`',
  peers: ['cluster', 'pm2', 'relevo-auto', 'relevo-kernel', 'relevo-round-robin'],
  columns: {
    sent: ['requests', 0],
    inFlight: ['lost in flight', 0],
    ...Object.fromEntries(lostWays.map((way) => [way, [way, 0]])),
    idleCloses: ['idle closes', 0],
    reloads: ['reloads finished', 0],
    refusedReloads: ['failed reloads', 0],
  },

  async sample(peer, { lossSeconds }) {
    const [account, { done, failed }] = await Promise.all([
      drive(peer.ports[0], { seconds: lossSeconds, clients }),
      reloadRepeatedly(peer, lossSeconds * 1000),
    ]);
    const { refused, cut, hung, wrong } = account.lost;
    return {
      sent: account.sent,
      inFlight: refused + cut + hung + wrong,
      ...account.lost,
      idleCloses: account.idleCloses,
      reloads: done,
      refusedReloads: failed,
    };
  },

  bars: [
    { text: 'auto: requests in flight that were lost', value: (m) => m['relevo-auto'].inFlight, atMost: 0, worst: true },
    { text: 'kernel: requests in flight that were lost', value: (m) => m['relevo-kernel'].inFlight, atMost: 0, worst: true },
    { text: 'round-robin: requests in flight that were lost', value: (m) => m['relevo-round-robin'].inFlight, atMost: 0, worst: true },
    { text: 'auto: reloads that failed', value: (m) => m['relevo-auto'].refusedReloads, atMost: 0, worst: true },
    { text: 'kernel: reloads that failed', value: (m) => m['relevo-kernel'].refusedReloads, atMost: 0, worst: true },
    { text: 'round-robin: reloads that failed', value: (m) => m['relevo-round-robin'].refusedReloads, atMost: 0, worst: true },
  ],
};

// One at a time, as long as the load lasts: where a reload takes longer than the interval, the
// next waits for its turn.
async function reloadRepeatedly(peer, forMs) {
  const until = performance.now() + forMs;
  const counted = { done: 0, failed: 0 };
  for (;;) {
    const next = performance.now() + reloadEveryMs;
    if (next > until) return counted;
    await pause(reloadEveryMs);
    const worked = await peer.reload();
    counted[worked ? 'done' : 'failed'] += 1;
  }
}
