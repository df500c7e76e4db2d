// From the end of the only worker to the next answer.
import { setTimeout as pause } from 'node:timers/promises';

import { until } from '../lib/children.mjs';
import { connect } from '../lib/connections.mjs';
import { start } from '../lib/peers.mjs';

const tryEveryMs = 1;
const limitMs = 20_000;
// Some peers leave a connection hanging that their dead worker had.
const answerLimitMs = 2000;

export const crash = {
  name: 'crash',
  title: 'Crash to answered',
  what: () => 'milliseconds from `kill -9` of the only worker to the next answer; a request that fails is repeated after a millisecond. The client is a bare socket: what Node’s own HTTP client takes is not counted',
  peers: ['cluster', 'pm2', 'relevo-auto', 'relevo-standby'],
  columns: { ms: ['ms', 1], failed: ['requests failed', 0] },
  times: 3,

  // A peer is started for each figure.
  async collect(names, { runs, tools, progress }) {
    const samples = Object.fromEntries(names.map((name) => [name, []]));
    for (let run = 0; run < runs; run += 1) {
      progress(`crash: run ${run + 1} of ${runs}`);
      for (const name of names) samples[name].push(await crashOnce(name, tools));
    }
    return samples;
  },

  bars: [
    { text: '--standby 1: ms to the next answer', value: (m) => m['relevo-standby'].ms, atMost: 10 },
  ],
};

async function crashOnce(name, tools) {
  const peer = await start(name, tools, { workers: 1 });
  try {
    if (name === 'relevo-standby') await spareIsLoaded(peer);
    const victim = await visit(peer);
    // Twice, so that the client has done all of it before.
    await visit(peer);
    process.kill(victim, 'SIGKILL');
    const began = performance.now();
    for (let failed = 0; performance.now() - began < limitMs; failed += 1) {
      try {
        const pid = await visit(peer);
        if (pid !== victim) return { ms: performance.now() - began, failed };
      } catch {
        // Refused, or reset with the worker.
      }
      await pause(tryEveryMs);
    }
    throw new Error(`${name}: no answer within ${limitMs / 1000} s\n${peer.output()}`);
  } finally {
    await peer.stop();
  }
}

async function spareIsLoaded(peer) {
  const isSpare = ({ state }) => state === 'standby';
  const loaded = await until(async () => (await peer.status()).slots.some(({ workers }) => workers.some(isSpare)), limitMs);
  if (!loaded) throw new Error(`no worker on standby within ${limitMs / 1000} s\n${peer.output()}`);
}

// Who answered.
async function visit(peer) {
  const { pid, end } = await connect(peer.ports[0], { timeoutMs: answerLimitMs });
  end();
  return pid;
}
