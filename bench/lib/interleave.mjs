// Runs of a measure, the peers taking turns, so that a slow minute of the machine falls on all.
import { start } from './peers.mjs';

// Resolves to { peer: [sample, …] }. Each sample is taken on a peer started afresh.
export async function interleave(measure, names, { runs, tools, settings, progress }) {
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let run = 0; run < runs; run += 1) {
    // Another one begins each time.
    const order = names.map((_, at) => names[(at + run) % names.length]);
    for (const name of order) {
      progress(`${measure.name}: run ${run + 1} of ${runs}, ${name}`);
      const peer = await start(name, tools);
      try {
        samples[name].push(await measure.sample(peer, settings));
      } finally {
        await peer.stop();
      }
    }
  }
  return samples;
}
