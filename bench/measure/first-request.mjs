// From the command to the first answer.
import { setTimeout as pause } from 'node:timers/promises';

import { get } from '../lib/http.mjs';
import { launch } from '../lib/peers.mjs';

const tryEveryMs = 1;
const limitMs = 20_000;

export const firstRequest = {
  name: 'first-request',
  title: 'First request',
  what: () => 'milliseconds from the command to the first answer with status 200, asked for every millisecond; each peer starts two workers',
  peers: ['bare', 'cluster', 'pm2', 'relevo-auto', 'relevo-kernel', 'relevo-round-robin'],
  columns: { ms: ['ms', 0] },
  times: 3,

  // A peer is started for each figure.
  async collect(names, { runs, tools, progress }) {
    const samples = Object.fromEntries(names.map((name) => [name, []]));
    for (let run = 0; run < runs; run += 1) {
      progress(`first-request: run ${run + 1} of ${runs}`);
      for (const name of names) samples[name].push({ ms: await timeToFirstAnswer(name, tools) });
    }
    return samples;
  },

  bars: [
    { text: 'kernel: ms later than bare node', value: (m) => m['relevo-kernel'].ms - m.bare.ms, atMost: 20 },
  ],
};

async function timeToFirstAnswer(name, tools) {
  const began = performance.now();
  const peer = await launch(name, tools);
  try {
    while (performance.now() - began < limitMs) {
      try {
        const { status } = await get(peer.ports[0]);
        if (status === 200) return performance.now() - began;
      } catch {
        await pause(tryEveryMs);
      }
    }
    throw new Error(`${name}: no answer within ${limitMs / 1000} s\n${peer.output()}`);
  } finally {
    await peer.stop();
  }
}
