// Very many idle connections of one worker move to the next: how long that takes, and what others notice of it.
import { connect } from '../lib/connections.mjs';
import { percentile } from '../lib/stats.mjs';
import { setTimeout as pause } from 'node:timers/promises';

const atOnce = 200;
const perSecond = 200;
const quietMs = 3000;

export const handover = {
  name: 'handover',
  title: 'Handover of idle connections',
  what: ({ handoverConnections }) => `a reload of one worker that has ${handoverConnections.toLocaleString('en-US')} idle connections: how much longer it takes than one without any, and the 99th percentile of ${perSecond} visits a second meanwhile (a connection and a request each), in parts of what it is before`,
  peers: ['relevo-auto', 'relevo-kernel'],
  columns: {
    movedMs: ['ms longer', 0], handedOver: ['handed over', 0], closed: ['closed', 0],
    quietMs: ['99th ms before', 1], busyMs: ['99th ms meanwhile', 1], failed: ['visits failed', 0],
  },
  // Longer than a sample takes.
  shapes: () => [{ workers: 1, env: { KEEP_ALIVE_MS: '120000' } }],

  async sample(peer, { handoverConnections }) {
    const emptyMs = await reloadMs(peer);
    const open = [];
    try {
      while (open.length < handoverConnections) {
        open.push(...await Promise.all(Array.from({ length: atOnce }, () => connect(peer.ports[0]))));
      }
      const before = (await peer.status()).totals;
      const quiet = visiting(peer.ports[0]);
      await pause(quietMs);
      const quietTimes = await quiet.end();
      const meanwhile = visiting(peer.ports[0]);
      const ms = await reloadMs(peer);
      const busyTimes = await meanwhile.end();
      const after = (await peer.status()).totals;
      return {
        movedMs: ms - emptyMs,
        handedOver: after.handed_over - before.handed_over,
        closed: after.closed_idle - before.closed_idle,
        quietMs: percentile(quietTimes, 0.99),
        busyMs: percentile(busyTimes, 0.99),
        failed: [...quietTimes, ...busyTimes].filter((time) => time === Infinity).length,
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

// Visits at a steady pace until `end()`, which resolves to how long each took.
function visiting(port) {
  const began = performance.now();
  const all = [];
  let over = false;
  const running = (async () => {
    while (!over) {
      all.push(connect(port).then(({ ms, end }) => { end(); return ms; }, () => Infinity));
      const early = began + (all.length * 1000) / perSecond - performance.now();
      if (early > 0) await pause(early);
    }
  })();
  return {
    async end() {
      over = true;
      await running;
      return Promise.all(all);
    },
  };
}
