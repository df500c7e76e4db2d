// Compiled, never run: what an ES module may write, and what it may not.
import api, { broadcast, keep, onBroadcast, onDrain, ready, worker, type Drain } from 'relevo-worker';

ready();
onDrain(async ({ deadlineMs }: Drain) => deadlineMs.toFixed());
onDrain(() => undefined);
keep({ destroy: () => undefined });
broadcast({ room: 'a', rooms: ['b', null], count: 1, deep: { yes: true } });
onBroadcast((message, from) => message.room === from.toFixed());
const slot: number | null = worker.slot;
const release: string | null = api.worker.release;
export { slot, release };

// @ts-expect-error: no function
onDrain('stop');
// @ts-expect-error: no socket
keep('127.0.0.1:80');
// @ts-expect-error: JSON has no functions
broadcast({ call: () => undefined });
// @ts-expect-error: it may be null
export const next: number = worker.slot + 1;
// @ts-expect-error: nobody can write over it
worker.generation = 2;
