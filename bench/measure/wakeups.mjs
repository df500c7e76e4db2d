// With nothing open and nobody watching, the manager should sleep.
import { setTimeout as pause } from 'node:timers/promises';

import { start } from '../lib/peers.mjs';
import { voluntarySwitches } from '../lib/proc.mjs';

// Workers are asked for a sign of life (--hang-timeout) once more up to 10 s after their last connection has come.
const settleMs = 12_000;

export const wakeups = {
  name: 'wakeups',
  title: 'Wake-ups of the idle manager',
  what: ({ idleSeconds }) => `voluntary context switches of all threads of the manager’s processes in ${idleSeconds} s without a connection, from 12 s after the last one on: until then Relevo may ask its workers once more for a sign of life; all peers in the same window, once`,
  peers: ['cluster', 'pm2', 'relevo-auto', 'relevo-kernel', 'relevo-round-robin'],
  columns: { switches: ['wake-ups', 0] },

  // Not by turns: the peers do nothing, so they can do it side by side.
  async collect(names, { tools, settings, progress }) {
    const started = {};
    try {
      for (const name of names) started[name] = await start(name, tools);
      progress(`wakeups: watching ${names.join(', ')} for ${settings.idleSeconds} s`);
      await pause(settleMs);
      const count = () => names.map((name) => voluntarySwitches(started[name].primaries()));
      const before = count();
      await pause(settings.idleSeconds * 1000);
      const after = count();
      return Object.fromEntries(names.map((name, at) => [name, [{ switches: after[at] - before[at] }]]));
    } finally {
      await Promise.all(Object.values(started).map((peer) => peer.stop()));
    }
  },

  bars: [
    { text: 'auto: wake-ups', value: (m) => m['relevo-auto'].switches, atMost: 0 },
    { text: 'kernel: wake-ups', value: (m) => m['relevo-kernel'].switches, atMost: 0 },
    { text: 'round-robin: wake-ups', value: (m) => m['relevo-round-robin'].switches, atMost: 0 },
  ],
};
