'use strict';

// Stopping to accept in such a way that it can be taken back.

const test = require('node:test');
const assert = require('node:assert');
const dgram = require('dgram');
const fs = require('fs');
const net = require('net');
const path = require('path');
const { App } = require('./harness.cjs');

const SERVES = `
  const http = require('http');
  const server = http.createServer(async (req, res) => {
    if (req.url === '/slow') { say('request'); await gate('go'); }
    res.end('done');
  });
  server.on('listening', () => say('listening'));
  server.on('close', () => say('closed'));
`;

const word = (app, act) => app.send({ cmd: 'NODE_RELEVO', v: 1, act });
const stops = (app, n = 1) => app.until(`${n} times stopped`, () => app.acts.filter(({ act }) => act === 'stopped').length >= n);

test('a parked worker accepts nothing, and goes on with what it has', async (t) => {
  const app = App.start(t, `${SERVES}
    server.listen(0, '127.0.0.1');
    gate('look').then(() => say({ listening: server.listening, port: server.address().port }));
  `);
  const port = await app.listening();
  const [idle, busy] = [await app.client(port), await app.client(port)];
  idle.get();
  await idle.answered();
  busy.get('/slow');
  await app.message('request');
  word(app, 'park');
  await stops(app);
  assert.ok(app.order.indexOf('handle closed') < app.order.indexOf('stopped'));
  assert.strictEqual(await (await app.client(port)).ended(), 'ECONNREFUSED');
  app.send('look');
  await app.message({ listening: true, port });
  app.send('go');
  assert.deepStrictEqual(await busy.answered(), { status: 200, close: false, body: 'done' });
  idle.get();
  assert.deepStrictEqual(await idle.answered(2), { status: 200, close: false, body: 'done' });
  assert.strictEqual(app.count('closed'), 0);
});

test('it serves again, as often as it is wanted, and the app learns of neither', async (t) => {
  const app = App.start(t, `${SERVES} server.listen(${await free()}, '127.0.0.1');`);
  const port = await app.listening();
  const kept = await app.client(port);
  for (let round = 1; round <= 3; round++) {
    word(app, 'park');
    await stops(app, round);
    word(app, 'unpark');
    assert.strictEqual(await app.listening(round + 1), port);
    const client = await app.client(port);
    client.get();
    assert.deepStrictEqual(await client.answered(), { status: 200, close: false, body: 'done' });
  }
  kept.get();
  await kept.answered();
  assert.deepStrictEqual([app.count('listening'), app.count('closed')], [1, 0]);
  // Then it drains as any other.
  assert.strictEqual((await app.drain()).act, 'stopped');
  for (const client of app.clients) client.socket.destroy();
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
  assert.strictEqual(app.count('closed'), 1);
});

test('a parked worker that drains closes its servers in the end, once', async (t) => {
  const app = App.start(t, `${SERVES} server.listen(0, '127.0.0.1');`);
  const port = await app.listening();
  const client = await app.client(port);
  client.get();
  await client.answered();
  word(app, 'park');
  await stops(app);
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'drain', deadline_ms: 30000 });
  await app.leftIs({ idle: 1 });
  word(app, 'unpark'); // too late
  client.socket.destroy();
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
  assert.strictEqual(app.count('closed'), 1);
  assert.strictEqual(app.addresses.length, 1);
});

test('a server that the app closes meanwhile stays closed, one that it opens waits', async (t) => {
  const [first, second] = [await free(), await free()];
  const app = App.start(t, `${SERVES}
    server.listen(${first}, '127.0.0.1');
    const other = http.createServer((req, res) => res.end('other'));
    gate('change').then(() => {
      server.close();
      other.listen(${second}, '127.0.0.1', () => say('opened'));
    });
  `);
  await app.listening();
  word(app, 'park');
  await stops(app);
  app.send('change');
  await app.message('closed');
  await app.message('opened');
  assert.strictEqual(await (await app.client(second)).ended(), 'ECONNREFUSED');
  word(app, 'unpark');
  await app.until('the other', () => app.addresses.filter(({ port }) => port === second).length >= 1);
  await app.until('an answer', async () => true);
  const client = await again(app, second);
  client.get();
  assert.strictEqual((await client.answered()).body, 'other');
  assert.strictEqual(await (await app.client(first)).ended(), 'ECONNREFUSED');
});

test('a Unix socket and a datagram socket', async (t) => {
  const app = App.start(t, `${SERVES}
    server.listen('app.sock');
    const udp = require('dgram').createSocket('udp4');
    udp.on('message', (text) => say(String(text)));
    udp.bind({ port: 0, address: '127.0.0.1' }, () => say({ udp: udp.address().port }));
  `);
  await app.listening(2);
  const { udp } = await app.until('the datagram socket', () => app.messages.find((message) => message.udp));
  const where = path.join(app.directory, 'app.sock');
  word(app, 'park');
  await stops(app);
  const socket = dgram.createSocket('udp4');
  t.after(() => socket.close());
  socket.send('while parked', udp, '127.0.0.1');
  word(app, 'unpark');
  await app.listening(3);
  await app.message('while parked'); // it has waited
  const client = await app.client(where);
  client.get();
  assert.strictEqual((await client.answered()).body, 'done');
  assert.ok(fs.existsSync(where));
});

/** A port that was free a moment ago. */
function free() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A server says that it listens when it began to; where it may listen, it is asked for a moment later. */
async function again(app, port) {
  for (;;) {
    const client = await app.client(port);
    if (client.over === undefined) return client;
  }
}
