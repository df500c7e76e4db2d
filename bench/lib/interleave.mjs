// Runs of a measure, the peers taking turns, so that a slow minute of the machine falls on all.
import { start } from './peers.mjs';

// Resolves to { peer: [sample, …] }. Each sample is taken on a peer started afresh; where a measure has several shapes of
// a peer, a sample is put together of one part for each.
export async function interleave(measure, names, { runs, tools, settings, progress }) {
  const shapes = measure.shapes?.(settings) ?? [{}];
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let run = 0; run < runs; run += 1) {
    // Another one begins each time.
    const order = names.map((_, at) => names[(at + run) % names.length]);
    for (const name of order) {
      progress(`${measure.name}: run ${run + 1} of ${runs}, ${name}`);
      const sample = {};
      for (const shape of shapes) {
        const peer = await start(name, tools, shape);
        try {
          Object.assign(sample, await measure.sample(peer, { ...settings, tools }, shape));
        } finally {
          await peer.stop();
        }
      }
      samples[name].push(sample);
    }
  }
  return samples;
}
