'use strict';

// HTTP/1 during the drain: every request that has reached the worker is answered, and the last one says `close`.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const path = require('path');
const tls = require('tls');
const { App } = require('./harness.cjs');

// /now answers at once, /slow/<word> waits for the word, /stream/<word> sends a part and then waits.
const SITE = (make = 'http.createServer(') => `
  const http = require('http');
  const https = require('https');
  const fs = require('fs');
  const answer = async (req, res) => {
    say(req.url);
    const [, how, word] = req.url.split('/');
    if (how === 'slow') await gate(word);
    if (how === 'stream') { res.write('part,'); await gate(word); }
    res.end(req.url);
  };
  const server = ${make}answer);
  server.keepAliveTimeout = 60000;
  server.listen(0, '127.0.0.1');
`;

const HEAD = (url, more = '') => `GET ${url} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
const bodies = (client) => client.responses.map(({ body }) => body);
const closes = (client) => client.responses.map(({ close }) => close);

async function finish(app) {
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
  assert.strictEqual(app.uncaught, undefined);
}

test('a response that has begun keeps its word; the next one says close', async (t) => {
  const app = App.start(t, SITE());
  const client = await app.client(await app.listening());
  client.get('/stream/go');
  await client.has('part,');
  await app.drain();
  await app.leftIs({ request: 1 });
  app.send('go');
  await client.answered();
  await app.leftIs({ idle: 1 });
  client.get('/next');
  await client.answered(2);
  assert.deepStrictEqual(closes(client), [false, true]);
  await client.ended();
  await finish(app);
});

test('idle connections are left to the keep-alive timeout', async (t) => {
  const app = App.start(t, `${SITE()} server.keepAliveTimeout = 300;`);
  const port = await app.listening();
  const idle = await app.client(port);
  await idle.get('/first').answered();
  const busy = await app.client(port);
  busy.get('/slow/go');
  await app.message('/slow/go');
  await app.drain();
  await app.leftIs({ request: 1, idle: 1 });
  assert.strictEqual(idle.over, undefined);
  app.send('go');
  await busy.answered();
  assert.strictEqual(await idle.ended(), 'end');
  await finish(app);
});

test('a connection that has said nothing yet is idle, and its first request is answered', async (t) => {
  const app = App.start(t, SITE());
  const port = await app.listening();
  const silent = await app.client(port);
  await (await app.client(port)).get('/ready').answered();
  await app.drain();
  await app.leftIs({ idle: 2 });
  assert.strictEqual((await silent.get('/first').answered()).close, true);
  await silent.ended();
  await app.leftIs({ idle: 1 });
});

for (const after of [0, 1]) {
  test(`a request of which a part has come is work (${after} requests before it)`, async (t) => {
    const app = App.start(t, SITE());
    const port = await app.listening();
    const client = await app.client(port);
    if (after) await client.get('/before').answered();
    client.write('GET /late HTTP/1.1\r\nHos');
    // The worker has read the part when it has answered what came later.
    await (await app.client(port)).get('/ready').answered();
    await app.drain();
    await app.leftIs({ request: 1, idle: 1 });
    client.write('t: x\r\n\r\n');
    await client.answered(after + 1);
    assert.deepStrictEqual(closes(client), after ? [false, true] : [true]);
    await app.leftIs({ idle: 1 });
  });
}

test('a part that comes during the drain is work from then on', async (t) => {
  const app = App.start(t, SITE());
  const client = await app.client(await app.listening());
  await client.get('/before').answered();
  await app.drain();
  await app.leftIs({ idle: 1 });
  client.write('G');
  await app.leftIs({ request: 1 });
  client.write('ET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.strictEqual((await client.answered(2)).close, true);
  await finish(app);
});

test('several requests in one segment, answered at once: close on the last', async (t) => {
  const app = App.start(t, SITE());
  const client = await app.client(await app.listening());
  await client.get('/before').answered();
  await app.drain();
  client.write(HEAD('/1') + HEAD('/2') + HEAD('/3'));
  await client.answered(4);
  assert.deepStrictEqual(bodies(client), ['/before', '/1', '/2', '/3']);
  assert.deepStrictEqual(closes(client), [false, false, false, true]);
  await finish(app);
});

test('a segment that ends within the next request', async (t) => {
  const app = App.start(t, SITE());
  const client = await app.client(await app.listening());
  await client.get('/before').answered();
  await app.drain();
  client.write(`${HEAD('/1')}GET /2 HT`);
  await client.answered(2);
  client.write('TP/1.1\r\nHost: x\r\n\r\n');
  await client.answered(3);
  assert.deepStrictEqual(closes(client), [false, false, true]);
  await finish(app);
});

test('requests queued behind a slow one before the drain, answered in any order', async (t) => {
  const app = App.start(t, SITE());
  const client = await app.client(await app.listening());
  client.write(HEAD('/slow/a') + HEAD('/slow/b') + HEAD('/now') + HEAD('/slow/c'));
  await app.message('/slow/c');
  await app.drain();
  await app.leftIs({ request: 1 });
  for (const word of ['c', 'b', 'a']) app.send(word);
  await client.answered(4);
  assert.deepStrictEqual(bodies(client), ['/slow/a', '/slow/b', '/now', '/slow/c']);
  assert.deepStrictEqual(closes(client), [false, false, false, true]);
  await finish(app);
});

test('a later request takes back the close of an answer that waits', async (t) => {
  const app = App.start(t, SITE());
  const client = await app.client(await app.listening());
  client.get('/slow/a');
  await app.message('/slow/a');
  await app.drain();
  for (let n = 1; n <= 4; n++) {
    client.get(n === 3 ? '/stream/s' : `/${n}`); // a body in parts leaves its headers apart in Node's queue
    await app.message(n === 3 ? '/stream/s' : `/${n}`);
  }
  app.send('s');
  app.send('a');
  await client.answered(5);
  assert.deepStrictEqual(bodies(client), ['/slow/a', '/1', '/2', 'part,/stream/s', '/4']);
  assert.deepStrictEqual(closes(client), [false, false, false, false, true]);
  await finish(app);
});

test('buffers and headers sent ahead, taken back too', async (t) => {
  const app = App.start(t, `
    const http = require('http');
    http.createServer(async (req, res) => {
      say(req.url);
      if (req.url === '/first') await gate('go');
      if (req.url === '/ahead') { res.writeHead(200, { 'Content-Length': 5 }); await gate('ahead'); }
      res.end(Buffer.from('bytes'));
    }).listen(0, '127.0.0.1');
  `);
  const client = await app.client(await app.listening());
  client.get('/first');
  await app.message('/first');
  await app.drain();
  for (const url of ['/buffer', '/ahead', '/last']) {
    client.get(url);
    await app.message(url);
  }
  app.send('go');
  app.send('ahead');
  await client.answered(4);
  assert.deepStrictEqual(bodies(client), ['bytes', 'bytes', 'bytes', 'bytes']);
  assert.deepStrictEqual(closes(client), [false, false, false, true]);
  await finish(app);
});

test('three requests cut at every byte around the drain', async (t) => {
  const app = App.start(t, `${SITE()} server.on('connection', () => say('connection'));`);
  const port = await app.listening();
  const text = HEAD('/1') + HEAD('/2') + HEAD('/3');
  const clients = [];
  for (let cut = 0; cut <= text.length; cut++) {
    const client = await app.client(port);
    client.write(text.slice(0, cut));
    clients.push([client, cut]);
  }
  await app.until('the connections', () => app.count('connection') === clients.length);
  await (await app.client(port)).get('/ready').answered();
  await app.drain();
  for (const [client, cut] of clients) client.write(text.slice(cut));
  for (const [client, cut] of clients) {
    if (cut === text.length) continue; // all was answered before
    await client.answered(3);
    assert.deepStrictEqual([cut, bodies(client)], [cut, ['/1', '/2', '/3']]);
    assert.deepStrictEqual([cut, closes(client)], [cut, [false, false, true]]);
    await client.ended();
  }
  assert.strictEqual(app.uncaught, undefined);
});

test('requests after the announced end are not acted on, and do not destroy the answer', async (t) => {
  const app = App.start(t, `
    const http = require('http');
    http.createServer(async (req, res) => {
      say(req.url);
      res.writeHead(200, { 'Content-Length': 1000005 });
      res.write('x'.repeat(1000000));
      await gate('go');
      res.end('y'.repeat(5));
    }).listen(0, '127.0.0.1');
  `);
  const port = await app.listening();
  const client = await app.client(port);
  await app.drain();
  client.get('/1');
  await client.has('onnection: close');
  client.get('/2').get('/3');
  client.write('z'.repeat(100000));
  app.send('go');
  assert.strictEqual((await client.answered()).body.length, 1000005);
  assert.strictEqual(await client.ended(), 'end');
  await finish(app);
  assert.deepStrictEqual(app.messages, ['/1']);
});

test("an app that asks for keep-alive itself, and one that closes anyway", async (t) => {
  const app = App.start(t, `
    require('http').createServer((req, res) => {
      res.setHeader('Connection', req.url === '/close' ? 'close' : 'Keep-Alive');
      if (req.url === '/keep') res.setHeader('Keep-Alive', 'timeout=72');
      res.end('x');
    }).listen(0, '127.0.0.1');
  `);
  const port = await app.listening();
  const clients = [];
  for (const url of ['/keep', '/other', '/close']) clients.push([url, await app.client(port)]);
  await (await app.client(port)).get('/keep').answered();
  await app.drain();
  for (const [url, client] of clients) {
    assert.strictEqual((await client.get(url).answered()).close, true);
    assert.doesNotMatch(client.text, /keep-alive/i);
    assert.strictEqual(await client.ended(), 'end');
  }
});

test('HTTP/1.0 with keep-alive', async (t) => {
  const app = App.start(t, `
    require('http').createServer((req, res) => { res.setHeader('Content-Length', 1); res.end('x'); })
      .listen(0, '127.0.0.1');
  `);
  const client = await app.client(await app.listening());
  client.write('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  assert.strictEqual((await client.answered()).close, false);
  await app.drain();
  client.write('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  assert.strictEqual((await client.answered(2)).close, true);
  assert.strictEqual(await client.ended(), 'end');
  await finish(app);
});

test('an upload is read to its end', async (t) => {
  const app = App.start(t, `
    require('http').createServer((req, res) => {
      let n = 0;
      say('upload');
      req.on('data', (data) => { n += data.length; });
      req.on('end', () => res.end(String(n)));
    }).listen(0, '127.0.0.1');
  `);
  const client = await app.client(await app.listening());
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n').write('x'.repeat(100000));
  await app.message('upload');
  await app.drain();
  await app.leftIs({ upload: 1 });
  client.write('x'.repeat(100000));
  assert.deepStrictEqual(await client.answered(), { status: 200, close: true, body: '200000' });
  await finish(app);
});

test('an answer before the upload is through does not cut the upload', async (t) => {
  const app = App.start(t, `
    require('http').createServer((req, res) => {
      let n = 0;
      res.end('early');
      req.on('data', (data) => { n += data.length; });
      req.on('end', () => say({ read: n }));
    }).listen(0, '127.0.0.1');
  `);
  const client = await app.client(await app.listening());
  await app.drain();
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n').write('x'.repeat(100000));
  assert.strictEqual((await client.answered()).body, 'early');
  await app.leftIs({ upload: 1 });
  client.write('x'.repeat(100000));
  await app.message({ read: 200000 });
  assert.strictEqual(await client.ended(), 'end');
  await finish(app);
});

test('an upload that nobody reads', async (t) => {
  const app = App.start(t, `
    require('http').createServer((req, res) => res.end('no')).listen(0, '127.0.0.1');
  `);
  const client = await app.client(await app.listening());
  await app.drain();
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n').write('x'.repeat(1000000));
  assert.strictEqual((await client.answered()).body, 'no');
  client.write('x'.repeat(1000000));
  assert.strictEqual(await client.ended(), 'end');
  await finish(app);
});

for (const [door, listener] of [
  ['Node itself', "server.on('request', handle)"],
  ['checkContinue', "server.on('checkContinue', async (req, res) => { say('door'); await gate('go'); res.writeContinue(); handle(req, res); })"],
  ['checkContinue at once', "server.on('checkContinue', (req, res) => { say('door'); res.writeContinue(); handle(req, res); })"],
]) {
  for (const when of ['before', 'during']) {
    test(`Expect: 100-continue, answered by ${door}, begun ${when} the drain`, async (t) => {
      const app = App.start(t, `
        const server = require('http').createServer();
        const handle = (req, res) => {
          let n = 0;
          say('handled');
          req.on('data', (data) => { n += data.length; });
          req.on('end', () => res.end(Buffer.from('got ' + n)));
        };
        ${listener};
        server.listen(0, '127.0.0.1');
      `);
      const client = await app.client(await app.listening());
      const word = door === 'Node itself' ? 'handled' : 'door';
      if (when === 'during') await app.drain();
      client.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
      await app.message(word);
      if (when === 'before') await app.drain();
      await app.leftIs({ upload: 1 });
      app.send('go');
      await client.has('HTTP/1.1 100 Continue\r\n\r\n');
      client.write('abcde');
      await client.has('got 5');
      assert.match(client.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
      assert.match(client.text, /\r\nConnection: close\r\n/);
      await client.ended();
      await finish(app);
    });
  }
}

test('refused expectations', async (t) => {
  const app = App.start(t, `
    const server = require('http').createServer();
    server.on('checkContinue', (req, res) => { res.statusCode = 403; res.end('no'); });
    server.on('checkExpectation', async (req, res) => { say('door'); await gate('go'); res.end('what'); });
    server.listen(0, '127.0.0.1');
  `);
  const port = await app.listening();
  const odd = await app.client(port);
  odd.get('/', 'Expect: miracles\r\n');
  await app.message('door');
  const refused = await app.client(port);
  await app.drain();
  await app.leftIs({ request: 1, idle: 1 });
  refused.get('/', 'Content-Length: 5\r\nExpect: 100-continue\r\n');
  assert.deepStrictEqual(await refused.answered(), { status: 403, close: true, body: 'no' });
  app.send('go');
  assert.deepStrictEqual(await odd.answered(), { status: 200, close: true, body: 'what' });
  await finish(app);
});

test('an event stream', async (t) => {
  const app = App.start(t, `
    const http = require('http');
    const begin = (res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream', Connection: 'keep-alive' });
      res.write('data: x\\n\\n');
    };
    http.createServer(async (req, res) => {
      say(req.url);
      if (req.url === '/late') await gate('late');
      begin(res);
      await gate(req.url);
      res.end();
    }).listen(0, '127.0.0.1');
  `);
  const port = await app.listening();
  const early = await app.client(port);
  const late = await app.client(port);
  early.get('/early');
  late.get('/late');
  await early.has('data:');
  await app.message('/late');
  await app.drain();
  await app.leftIs({ request: 1, event_stream: 1 });
  assert.doesNotMatch(early.text, /\r\n0\r\n\r\n$/, 'not while an ordinary request is under way');
  app.send('late');
  assert.strictEqual(await late.ended(), 'end');
  assert.match(late.text, /\r\nConnection: close\r\n/);
  await app.leftIs({ idle: 1 });
  for (const client of [early, late]) assert.match(client.text, /\r\n0\r\n\r\n$/, 'ended, not cut');
  early.socket.destroy();
  await finish(app);
});

test('upgrades are left alone and counted', async (t) => {
  const app = App.start(t, `
    const server = require('http').createServer((req, res) => res.end('x'));
    server.on('upgrade', async (req, socket) => {
      say(req.url);
      await gate(req.url);
      socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n');
      socket.on('data', (data) => socket.write(data));
      socket.on('end', () => socket.end());
    });
    server.on('connect', (req, socket) => { socket.write('HTTP/1.1 200 OK\\r\\n\\r\\n'); say('connect'); socket.pipe(socket); });
    server.listen(0, '127.0.0.1');
  `);
  const port = await app.listening();
  const UPGRADE = 'Connection: Upgrade\r\nUpgrade: echo\r\n';
  const [before, slow, during, tunnel] = [
    await app.client(port), await app.client(port), await app.client(port), await app.client(port),
  ];
  before.get('/before', UPGRADE);
  slow.get('/slow', UPGRADE);
  tunnel.write('CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n');
  app.send('/before');
  await before.has('101');
  await app.message('/slow');
  await app.message('connect');
  await app.drain();
  await app.leftIs({ websocket: 3, idle: 1 });
  during.get('/during', UPGRADE);
  await app.leftIs({ websocket: 4 });
  app.send('/slow');
  app.send('/during');
  for (const client of [before, slow, during]) {
    await client.has('101');
    client.write('hello');
    await client.has('hello');
    client.socket.end();
  }
  await app.leftIs({ websocket: 1 });
  tunnel.socket.destroy();
  await finish(app);
});

test('a client that goes away', async (t) => {
  const app = App.start(t, SITE());
  const client = await app.client(await app.listening());
  client.get('/slow/go');
  await app.message('/slow/go');
  await app.drain();
  await app.leftIs({ request: 1 });
  client.socket.resetAndDestroy ? client.socket.resetAndDestroy() : client.socket.destroy();
  await app.act('drained');
  await app.leftIs({});
  app.send('go');
  await finish(app);
});

test('a client that never closes its side is left behind after a while', async (t) => {
  const app = App.start(t, SITE());
  const port = await app.listening();
  const client = await app.client(port, () => require('net').connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  await app.drain();
  await client.get('/x').answered();
  await client.ended();
  await app.leftIs({ idle: 1 });
  await finish(app);
});

test('a large response to a slow reader is sent whole', async (t) => {
  const app = App.start(t, `
    require('http').createServer((req, res) => { say('request'); res.end(Buffer.alloc(30e6, 'x')); })
      .listen(0, '127.0.0.1');
  `);
  const client = await app.client(await app.listening());
  await app.drain();
  client.socket.pause();
  client.get();
  await app.message('request');
  await app.leftIs({ request: 1 });
  const end = Date.now() + 3000; // longer than an ended connection is waited for
  await app.until('some time', () => Date.now() > end);
  client.socket.resume();
  assert.strictEqual((await client.answered()).body.length, 30e6);
  assert.strictEqual(await client.ended(), 'end');
  await finish(app);
});

test('a server that is fed by hand', async (t) => {
  const app = App.start(t, `
    const net = require('net');
    const http = require('http');
    const inner = http.createServer(async (req, res) => { say(req.url); await gate('go'); res.end('inner'); });
    net.createServer((socket) => {
      socket.once('readable', () => { socket.read(1); inner.emit('connection', socket); });
    }).listen(0, '127.0.0.1');
  `);
  const port = await app.listening();
  const waiting = await app.client(port);
  const client = await app.client(port);
  client.write(`x${HEAD('/1')}`);
  await app.message('/1');
  await app.drain();
  await app.leftIs({ request: 1, unknown: 1 });
  waiting.write(`x${HEAD('/2')}`);
  await app.message('/2');
  app.send('go');
  assert.strictEqual((await client.answered()).close, true);
  app.send('go');
  assert.strictEqual((await waiting.answered()).close, true);
  await finish(app);
});

test('a plain server: every connection is work of an unknown kind', async (t) => {
  const app = App.start(t, `
    require('net').createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  `);
  const client = await app.client(await app.listening());
  client.write('before');
  await client.has('before');
  await app.drain();
  await app.leftIs({ unknown: 1 });
  client.write('after');
  await client.has('after');
  client.socket.end();
  await finish(app);
});

// ------------------------------------------------------------------------------------------------------------- HTTPS

const KEYS = "https.createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') }, ";
const overTls = (port) => () => tls.connect({
  port,
  host: '127.0.0.1',
  ca: fs.readFileSync(path.join(__dirname, 'cert.pem')),
  servername: 'localhost',
});

test('https: slow, idle, pipelined, silent', async (t) => {
  const app = App.start(t, SITE(KEYS));
  const port = await app.listening();
  const [slow, idle, silent] = [
    await app.client(port, overTls(port)), await app.client(port, overTls(port)), await app.client(port, overTls(port)),
  ];
  const noHandshake = await app.client(port);
  await idle.get('/before').answered();
  slow.get('/slow/go');
  await app.message('/slow/go');
  await app.drain();
  await app.leftIs({ request: 1, idle_tls: 3 });
  idle.write(HEAD('/1') + HEAD('/2'));
  await idle.answered(3);
  assert.deepStrictEqual(closes(idle), [false, false, true]);
  assert.strictEqual((await silent.get('/first').answered()).close, true);
  app.send('go');
  assert.strictEqual((await slow.answered()).close, true);
  for (const client of [slow, idle, silent]) assert.strictEqual(await client.ended(), 'end');
  await app.leftIs({ idle_tls: 1 });
  noHandshake.socket.destroy();
  await finish(app);
});

test('https: uploads and upgrades', async (t) => {
  const app = App.start(t, `${SITE(KEYS)}
    server.on('upgrade', (req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n');
    });
  `);
  const port = await app.listening();
  const [upload, upgraded] = [await app.client(port, overTls(port)), await app.client(port, overTls(port))];
  upgraded.get('/', 'Connection: Upgrade\r\nUpgrade: echo\r\n');
  await upgraded.has('101');
  upload.write('POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345');
  await upload.answered();
  await app.drain();
  await app.leftIs({ upload: 1, websocket: 1 });
  upload.write('67890');
  await app.leftIs({ websocket: 1, idle_tls: 1 });
  assert.strictEqual((await upload.get('/last').answered(2)).close, true);
  upgraded.socket.destroy();
  await finish(app);
});
