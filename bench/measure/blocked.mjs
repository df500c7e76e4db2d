// A worker that does not come back to its event loop: who waits for it?
import { setTimeout as pause } from 'node:timers/promises';

import { visits } from '../lib/connections.mjs';

const count = 100;
const perSecond = 200;
const longMs = 500;
// Until the worker is in its loop for sure.
const headStartMs = 50;

export const blocked = {
  name: 'blocked',
  title: 'New connections while a worker is blocked',
  what: ({ blockMs }) => `${count} new connections, one request each, in ${count / perSecond} s from the moment that one worker of 2, or of 4, is blocked for ${blockMs / 1000} s by a synchronous loop: how many *waited* more than ${longMs / 1000} s, and the longest`,
  peers: ['cluster', 'pm2', 'relevo-auto', 'relevo-kernel'],
  columns: {
    waited2: ['of 2: waited', 0], longest2: ['longest ms', 0],
    waited4: ['of 4: waited', 0], longest4: ['longest ms', 0],
  },
  shapes: ({ blockMs }) => [2, 4].map((workers) => ({ workers, app: 'blocking-app.cjs', env: { BLOCK_MS: blockMs } })),

  async sample(peer, settings, { workers }) {
    await pause(500);
    process.kill(peer.workers()[0], 'SIGUSR2');
    await pause(headStartMs);
    const times = await visits(peer.ports[0], { count, perSecond });
    return { [`waited${workers}`]: times.filter((ms) => ms > longMs).length, [`longest${workers}`]: Math.max(...times) };
  },

  bars: [
    { text: 'auto, one of 2 blocked: waited', value: (m) => m['relevo-auto'].waited2, atMost: 2 },
    { text: 'auto, one of 4 blocked: waited', value: (m) => m['relevo-auto'].waited4, atMost: 2 },
    { text: 'kernel, one of 2 blocked: waited', value: (m) => m['relevo-kernel'].waited2, atMost: 10 },
    { text: 'kernel, one of 4 blocked: waited', value: (m) => m['relevo-kernel'].waited4, atMost: 10 },
  ],
};
