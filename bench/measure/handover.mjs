// Very many idle connections of one worker move to the next: how long that takes, and what others notice of it.
import { setTimeout as pause } from 'node:timers/promises';

import { connect, visits } from '../lib/connections.mjs';
import { percentile } from '../lib/stats.mjs';

const atOnce = 200;
const perSecond = 200;
const quietMs = 3000;

export const handover = {
  name: 'handover',
  title: 'Handover of idle connections',
  what: ({ handoverConnections }) => `a reload of one worker that has ${handoverConnections.toLocaleString('en-US')} idle connections: how much longer it takes than one without any, and the 99th percentile of ${perSecond} visits a second meanwhile (a connection and a request each), in parts of what it is before, and beside what it is in a reload without idle connections: the start of the new worker is in both`,
  peers: ['relevo-auto', 'relevo-kernel'],
  columns: {
    movedMs: ['ms longer', 0], handedOver: ['handed over', 0], closed: ['closed', 0],
    quietMs: ['99th ms before', 1], emptyMs: ['in a reload without any', 1], busyMs: ['99th ms meanwhile', 1], failed: ['visits failed', 0],
  },
  // Longer than a sample takes.
  shapes: () => [{ workers: 1, env: { KEEP_ALIVE_MS: '120000' } }],

  async sample(peer, { handoverConnections }) {
    let emptyMs;
    const emptyTimes = await visitsDuring(peer, async () => { emptyMs = await reloadMs(peer); });
    const open = [];
    try {
      while (open.length < handoverConnections) {
        open.push(...await Promise.all(Array.from({ length: atOnce }, () => connect(peer.ports[0]))));
      }
      const before = (await peer.status()).totals;
      const quietTimes = await visitsDuring(peer, () => pause(quietMs));
      let ms;
      const busyTimes = await visitsDuring(peer, async () => { ms = await reloadMs(peer); });
      const after = (await peer.status()).totals;
      return {
        movedMs: ms - emptyMs,
        handedOver: after.handed_over - before.handed_over,
        closed: after.closed_idle - before.closed_idle,
        quietMs: percentile(quietTimes, 0.99),
        emptyMs: percentile(emptyTimes, 0.99),
        busyMs: percentile(busyTimes, 0.99),
        failed: [...emptyTimes, ...quietTimes, ...busyTimes].filter((time) => time === Infinity).length,
      };
    } finally {
      for (const { end } of open) end();
    }
  },

  bars: ['relevo-auto', 'relevo-kernel'].flatMap((name) => [
    { text: `${name}: ms longer`, value: (m) => m[name].movedMs, atMost: 1000 },
    { text: `${name}: closed`, value: (m) => m[name].closed, worst: true, atMost: 0 },
    { text: `${name}: 99th percentile in parts of before`, paired: true, value: (m) => m[name].busyMs / m[name].quietMs, atMost: 2 },
  ]),
};

async function reloadMs(peer) {
  const began = performance.now();
  if (!await peer.reload()) throw new Error('the reload failed');
  return performance.now() - began;
}

// How long each visit took that began while `something` went on.
async function visitsDuring(peer, something) {
  let isOver = false;
  const times = visits(peer.ports[0], { perSecond, isOver: () => isOver });
  await something().finally(() => { isOver = true; });
  return times;
}
