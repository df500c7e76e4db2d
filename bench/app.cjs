'use strict';
// What every peer serves: a short answer of constant length, after the request's body if it has
// one. X-Pid says who answered, X-Id gives the client its own id back.
const http = require('node:http');

const server = http.createServer((request, response) => {
  response.setHeader('X-Pid', process.pid);
  const id = request.headers['x-id'];
  if (id !== undefined) response.setHeader('X-Id', id);
  if (request.method === 'GET') return response.end('hello\n');
  request.on('end', () => response.end('hello\n'));
  request.resume();
});

if (process.env.KEEP_ALIVE_MS) server.keepAliveTimeout = Number(process.env.KEEP_ALIVE_MS);
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', reusePort: process.env.REUSE_PORT === '1' });
