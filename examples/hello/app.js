'use strict';
// A plain HTTP server. It answers under `node app.js` and under `relevo run app.js` alike:
// how many processes share the port is not its business.
const cluster = require('node:cluster');
const http = require('node:http');

const port = Number(process.env.PORT ?? 3000);

const server = http.createServer((request, response) => {
  const worker = cluster.isWorker ? `worker ${cluster.worker.id}` : 'no worker, plain node';
  response.setHeader('Content-Type', 'text/plain');
  response.setHeader('X-Served-By', worker);
  // Always of the same length: `ab` counts a response of another length as failed.
  response.end(`hello from pid ${String(process.pid).padStart(7)}\n`);
});

server.listen(port, () => console.log(`pid ${process.pid} listens on port ${port}`));
