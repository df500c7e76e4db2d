'use strict';
// Node's own cluster as people write it: WORKERS processes of APP, dealt by POLICY (`rr` or
// `none`), a dead one replaced, and on SIGUSR2 one after the other exchanged.
const cluster = require('node:cluster');

cluster.schedulingPolicy = process.env.POLICY === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
cluster.setupPrimary({ exec: process.env.APP });
for (let n = 0; n < Number(process.env.WORKERS); n += 1) cluster.fork();
cluster.on('exit', (worker) => { if (!worker.exitedAfterDisconnect) cluster.fork(); });

let reloading = false;
process.on('SIGUSR2', () => {
  if (reloading) return;
  reloading = true;
  const old = Object.values(cluster.workers);
  (function next() {
    const worker = old.shift();
    if (!worker) {
      reloading = false;
      process.stdout.write('reloaded\n');
      return;
    }
    worker.once('exit', () => cluster.fork().once('listening', next));
    worker.disconnect();
  })();
});
