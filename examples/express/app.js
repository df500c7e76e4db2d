'use strict';
const express = require('express');

const app = express();
app.use(express.json());

app.get('/', (request, response) => {
  response.json({ hello: 'express', pid: process.pid });
});

app.get('/slow', (request, response) => {
  const ms = Math.min(Number(request.query.ms ?? 1000), 60_000);
  setTimeout(() => response.json({ waited: ms, pid: process.pid }), ms);
});

app.post('/notes', (request, response) => {
  response.status(201).json({ stored: request.body, pid: process.pid });
});

const port = Number(process.env.PORT ?? 3000);
// Express 5 hands the error of a failed listen to the callback as well.
app.listen(port, (error) => {
  if (error) throw error;
  console.log(`${process.pid} listens on port ${port}`);
});
