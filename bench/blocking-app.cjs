'use strict';
// app.cjs, of which a worker that gets SIGUSR2 does nothing else for BLOCK_MS: a synchronous loop.
require('./app.cjs');

process.on('SIGUSR2', () => {
  const until = performance.now() + Number(process.env.BLOCK_MS);
  while (performance.now() < until);
});
