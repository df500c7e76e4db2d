// Connections that stay: has every worker as many?
import { setTimeout as pause } from 'node:timers/promises';

import { connect } from '../lib/connections.mjs';

const counts = [16, 64, 512];
const manners = ['one by one', 'at once'];
const shapes = [{ workers: 4 }, { workers: 8 }];

const cases = shapes.flatMap(({ workers }) => counts.flatMap((count) => manners.map((manner) => ({ workers, count, manner }))));
const key = ({ workers, count, manner }) => `${workers} workers, ${count} ${manner}`;
const worst = (figures, chosen) => Math.max(...cases.filter(chosen).map((each) => figures[key(each)]));

export const spread = {
  name: 'spread',
  title: 'Spread of keep-alive connections',
  what: () => `the largest deviation of a worker’s share from an even one, in connections, of ${counts.join(', ')} keep-alive connections over 4 and 8 workers; opened *one by one*, each when the one before has had its answer, or all *at once*`,
  peers: ['cluster', 'pm2', 'relevo-auto', 'relevo-kernel'],
  shapes: ({ spreadWorkers }) => shapes.filter(({ workers }) => spreadWorkers.includes(workers)),
  across: true,
  columns: Object.fromEntries(cases.map((each) => [key(each), [key(each), 0]])),

  async sample(peer, { spreadSettleMs }, { workers }) {
    const sample = {};
    for (const each of cases.filter((one) => one.workers === workers)) {
      // Until everybody knows that the connections of the case before have gone.
      await pause(spreadSettleMs);
      sample[key(each)] = await deviation(peer, each);
    }
    return sample;
  },

  bars: [
    { text: 'auto: largest deviation of 16 and 64 connections', value: (m) => worst(m['relevo-auto'], ({ count }) => count < 512), atMost: 1 },
    { text: 'auto: largest deviation of 512 connections', value: (m) => worst(m['relevo-auto'], ({ count }) => count === 512), atMost: 2 },
  ],
};

async function deviation(peer, { workers, count, manner }) {
  const held = [];
  try {
    if (manner === 'at once') {
      const opened = await Promise.allSettled(Array.from({ length: count }, () => connect(peer.ports[0])));
      held.push(...opened.filter(({ status }) => status === 'fulfilled').map(({ value }) => value));
      const failed = opened.find(({ status }) => status === 'rejected');
      if (failed) throw failed.reason;
    } else {
      while (held.length < count) held.push(await connect(peer.ports[0]));
    }
    const shares = new Map();
    for (const { pid } of held) shares.set(pid, (shares.get(pid) ?? 0) + 1);
    const even = count / workers;
    // Whoever has none is missing there, and as far from even as one can be.
    const fewest = shares.size < workers ? 0 : Math.min(...shares.values());
    return Math.max(even - fewest, Math.max(...shares.values()) - even);
  } finally {
    for (const { end } of held) end();
  }
}
