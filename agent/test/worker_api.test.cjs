'use strict';

// What apps can ask for, and what is told to connections that would never end by themselves.

const assert = require('assert');
const test = require('node:test');

const { App } = require('./harness.cjs');

const API = "const relevo = process[Symbol.for('relevo.worker')];";

// Each upgraded socket has an object like that of the `ws` library, under a symbol like its own.
const WEBSOCKETS = `
  ${API}
  const http = require('http');
  const server = http.createServer((req, res) => res.end('plain'));
  server.on('upgrade', (req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n');
    const close = (code) => {
      say({ closed: req.url, code });
      socket.end();
    };
    if (req.url !== '/other') socket[Symbol('websocket')] = { send() {}, close };
    if (req.url === '/kept') relevo.keep(socket);
    socket.on('end', () => socket.end()).resume();
  });
  server.listen(0, '127.0.0.1');
`;

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';

test('WebSockets are closed with 1012, but for those the app keeps and those of others', async (t) => {
  const app = App.start(t, WEBSOCKETS);
  const port = await app.listening();
  const clients = {};
  for (const url of ['/one', '/kept', '/other']) {
    clients[url] = await app.client(port);
    await clients[url].get(url, UPGRADE).has('101');
  }
  await app.drain();
  await app.message({ closed: '/one', code: 1012 });
  await app.leftIs({ websocket: 2 });
  for (const url of ['/kept', '/other']) clients[url].socket.destroy();
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
  assert.strictEqual(app.messages.filter(({ closed }) => closed).length, 1);
});

test('drained waits for what the app does at the beginning of a drain', async (t) => {
  const app = App.start(t, `
    ${API}
    relevo.onDrain(async ({ deadlineMs }) => {
      say({ deadlineMs });
      await gate('go');
      say('went');
    });
    require('http').createServer((req, res) => res.end()).listen(0, '127.0.0.1');
  `);
  await app.listening();
  await app.drain();
  await app.message({ deadlineMs: 30000 });
  await app.leftIs({});
  assert.strictEqual(app.order.includes('drained'), false);
  app.send('go');
  await app.act('drained');
  assert.ok(app.order.indexOf('went') < app.order.indexOf('drained'), JSON.stringify(app.order));
  assert.strictEqual(await app.disconnect(), 0);
});

test("'shutdown' comes when nothing is left, before the servers close", async (t) => {
  const app = App.start(t, `
    const server = require('http').createServer((req, res) => res.end());
    process.on('message', (message) => { if (message === 'shutdown') say({ listening: server.listening }); });
    server.on('close', () => say('closed'));
    server.listen(0, '127.0.0.1');
  `);
  await app.listening();
  await app.drain();
  await app.act('drained');
  assert.strictEqual(app.messages.length, 0, 'not before');
  assert.strictEqual(await app.disconnect(), 0);
  assert.strictEqual(JSON.stringify(app.messages), '[{"listening":true},"closed"]');
});

test('broadcasts go out and come in, within their limits', async (t) => {
  const app = App.start(t, `
    ${API}
    relevo.onBroadcast((message) => say({ heard: message }));
    relevo.broadcast({ a: [1] });
    for (const bad of ['x'.repeat(65536), undefined, () => {}]) {
      try {
        relevo.broadcast(bad);
      } catch (error) {
        say(error.name);
      }
    }
    relevo.ready();
    try {
      relevo.onDrain('no function');
    } catch (error) {
      say(error.message);
    }
    setInterval(() => {}, 1000);
  `);
  await app.act('ready');
  assert.deepStrictEqual((await app.act('broadcast')).message, { a: [1] });
  await app.message('onDrain needs a function, not string');
  assert.deepStrictEqual(app.messages.slice(0, 3), ['RangeError', 'TypeError', 'TypeError']);
  assert.strictEqual(app.acts.filter(({ act }) => act === 'broadcast').length, 1);
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'broadcast', from: 2, message: { b: 2 } });
  await app.message({ heard: { b: 2 } });
});

test('TLS servers take the ticket keys they are given, and nothing else', async (t) => {
  const app = App.start(t, `
    const fs = require('fs');
    const server = require('https').createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') });
    server.listen(0, '127.0.0.1');
    process.on('message', (word) => { if (word === 'tell') say(server.getTicketKeys().toString('hex')); });
  `);
  await app.listening();
  const keys = 'a1'.repeat(48);
  for (const bad of [5, 'a1', 'zz'.repeat(48)]) app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'tickets', keys: bad });
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'tickets', keys });
  app.send('tell');
  await app.message(keys);
});

test('words that make no sense change nothing', async (t) => {
  const app = App.start(t, "require('http').createServer((req, res) => res.end()).listen(0, '127.0.0.1');");
  const port = await app.listening();
  const client = await app.client(port);
  await client.get().answered();
  for (const word of [
    { act: 'credit' }, { act: 'credit', key: 5, n: 1 }, { act: 'credit', key: 'x', n: -1 }, { act: 'credit', key: 'x', n: 0.5 },
    { act: 'taken' }, { act: 'taken', ids: [1, 'x', null] }, { act: 'back', ids: 7 }, { act: 'back', ids: [99] },
    { act: 'broadcast' }, { act: 'tickets' }, { act: 'dance' }, {},
  ]) app.send({ cmd: 'NODE_RELEVO', v: 1, ...word });
  await client.get().answered(2);
  await app.drain();
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'taken', ids: [1] });
  assert.strictEqual((await client.get().answered(3)).close, true);
  assert.strictEqual(await client.ended(), 'end');
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
});
