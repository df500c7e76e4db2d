// A large machine: what 64 slots cost.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { run } from '../lib/children.mjs';
import { ab } from '../lib/load.mjs';
import { pssBytes } from '../lib/proc.mjs';

const workers = 64;

export const slots64 = {
  name: 'slots64',
  title: '64 slots',
  what: ({ memoryRequests }) => `proportional set size in MB of all of Relevo’s processes, workers left out, with ${workers} workers: idle, and 2 s after ${memoryRequests.toLocaleString('en-US')} connections; `
    + `and the microseconds in which the weights of a group of ${workers} sockets are rewritten while connections come, median and 99th percentile of 1,000 times`,
  peers: ['relevo-auto'],
  columns: { idle: ['idle MB', 1], loaded: ['after load MB', 1], steerUs: ['weights: median µs', 1], steerP99Us: ['99th µs', 1] },
  shapes: () => [{ workers }],

  async sample(peer, { memoryRequests, tools }) {
    await pause(2000);
    const idle = pssBytes(peer.primaries()) / 1e6;
    await ab(peer, { requests: memoryRequests, concurrency: 100 });
    await pause(2000);
    return { idle, loaded: pssBytes(peer.primaries()) / 1e6, ...await timeSteering(tools) };
  },

  bars: [
    { text: 'auto: MB, the higher of both', value: (m) => Math.max(m['relevo-auto'].idle, m['relevo-auto'].loaded), atMost: 8 },
    { text: 'weights rewritten: median µs', value: (m) => m['relevo-auto'].steerUs, atMost: 200 },
  ],
};

// By an example of relevo-sys, which is where the executable is.
async function timeSteering({ relevo }) {
  const program = path.join(path.dirname(relevo), 'examples', 'steer');
  if (!existsSync(program)) {
    console.error(`slots64: no ${program}: run cargo build --release --example steer`);
    return { steerUs: NaN, steerP99Us: NaN };
  }
  const { code, stdout, stderr } = await run(program, [String(workers)], { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr.trim()}`);
  const [steerUs, steerP99Us] = stdout.trim().split(' ').map(Number);
  return { steerUs, steerP99Us };
}
