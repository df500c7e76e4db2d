// What it costs the clients that the number of workers changes all the time.
import { setTimeout as pause } from 'node:timers/promises';

import { run } from '../lib/children.mjs';
import { drive } from '../lib/mixed-client.mjs';

const sizes = [8, 2];
const everyMs = 1000;
// In the first half so few that `auto` deals them, then so many that the kernel does; the others all the time.
const few = 1;
const many = 16;
const kept = 30;

export const scale = {
  name: 'scale',
  title: 'Requests lost to scaling',
  what: ({ scaleSeconds }) => `${scaleSeconds} s of 2 → 8 → 2 workers, another number wanted every ${everyMs / 1000} s, under ${few} client that opens a connection for each request (${many} in the second half) and ${kept} on keep-alive connections. `
    + 'What is lost of each, with *race* and *behind* of the latter as above; *most ready*: workers that were ready just before a change',
  peers: ['relevo-auto', 'relevo-kernel'],
  columns: {
    sent: ['new: requests', 0],
    lost: ['lost', 0],
    keptSent: ['keep-alive: requests', 0],
    keptLost: ['lost', 0],
    race: ['race', 0],
    behind: ['behind', 0],
    cut: ['cut', 0],
    idleCloses: ['idle closes', 0],
    scalings: ['scalings', 0],
    refused: ['refused', 0],
    mostReady: ['most ready', 0],
  },

  // Why it cannot be measured, or null.
  async unavailable({ relevo }) {
    const { code } = await run(relevo, ['scale', '--help'], { timeoutMs: 5000 });
    return code === 0 ? null : 'this relevo has no `scale`';
  },

  async sample(peer, { scaleSeconds }) {
    const port = peer.ports[0];
    const half = scaleSeconds / 2;
    const [first, second, keepAlive, changes] = await Promise.all([
      drive(port, { seconds: half, clients: { new: few } }),
      pause(half * 1000).then(() => drive(port, { seconds: half, clients: { new: many } })),
      drive(port, { seconds: scaleSeconds, clients: { keep: kept } }),
      scaleRepeatedly(peer, scaleSeconds * 1000),
    ]);
    return {
      sent: first.sent + second.sent,
      lost: lostOf(first) + lostOf(second),
      keptSent: keepAlive.sent,
      keptLost: lostOf(keepAlive),
      race: keepAlive.lost.race,
      behind: keepAlive.lost.behind,
      cut: keepAlive.lost.cut,
      idleCloses: keepAlive.idleCloses,
      ...changes,
    };
  },

  bars: ['auto', 'kernel'].flatMap((balance) => [
    { text: `${balance}: requests with a connection of their own that were lost`, value: (m) => m[`relevo-${balance}`].lost, atMost: 0, worst: true },
    { text: `${balance}: scalings that were refused`, value: (m) => m[`relevo-${balance}`].refused, atMost: 0, worst: true },
  ]),
};

// Nobody waits for one to be over before the next is wanted.
async function scaleRepeatedly(peer, forMs) {
  const began = performance.now();
  const counted = { scalings: 0, refused: 0, mostReady: 0 };
  for (let at = everyMs; at < forMs; at += everyMs) {
    await pause(Math.max(0, began + at - performance.now()));
    counted.mostReady = Math.max(counted.mostReady, await ready(peer));
    const accepted = await peer.scale(sizes[counted.scalings % sizes.length]);
    counted[accepted ? 'scalings' : 'refused'] += 1;
  }
  return counted;
}

async function ready(peer) {
  const { slots } = await peer.status();
  return slots.filter(({ state }) => state === 'ready').length;
}

const lostOf = ({ lost }) => Object.values(lost).reduce((sum, each) => sum + each, 0);
