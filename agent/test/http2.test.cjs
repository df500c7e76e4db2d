'use strict';

// HTTP/2 during the drain: no stream that the app has seen is cut, and the session ends when they are through.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const http2 = require('http2');
const path = require('path');
const tls = require('tls');
const { App } = require('./harness.cjs');

const SITE = (make) => `
  const http2 = require('http2');
  const fs = require('fs');
  const keys = { key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem'), allowHTTP1: true };
  const server = ${make};
  server.on('request', async (req, res) => {
    say(req.url);
    if (req.url === '/events') { res.setHeader('content-type', 'text/event-stream'); res.write('data: x\\n\\n'); }
    if (req.url !== '/now') await gate(req.url);
    if (req.method === 'POST') for await (const chunk of req) res.write(chunk);
    res.end(req.url);
  });
  server.on('close', () => say('closed'));
  server.listen(0, '127.0.0.1');
`;

const ca = fs.readFileSync(path.join(__dirname, 'cert.pem'));

class Session {
  constructor(t, app, url) {
    this.app = app;
    this.session = http2.connect(url, { ca, servername: 'localhost' });
    this.goaways = [];
    this.over = false;
    this.session.on('goaway', (code, last) => this.goaways.push([code, last]));
    this.session.on('error', (error) => { this.over = error.code; });
    this.session.on('close', () => { this.over = this.over || 'close'; });
    t.after(() => this.session.destroy());
  }

  request(url, method = 'GET') {
    const stream = this.session.request({ ':path': url, ':method': method }, { endStream: method === 'GET' });
    stream.text = '';
    stream.setEncoding('latin1');
    stream.on('data', (text) => { stream.text += text; });
    stream.on('error', (error) => { stream.failed = error.code; });
    stream.on('close', () => { stream.over = true; });
    return stream;
  }

  async answer(stream) {
    await this.app.until('a stream', () => stream.over);
    return stream.failed || stream.text;
  }

  ended() {
    return this.app.until('the end of a session', () => this.over);
  }
}

for (const [name, make, scheme] of [
  ['h2c', 'http2.createServer()', 'http'],
  ['h2', 'http2.createSecureServer(keys)', 'https'],
]) {
  test(`${name}: streams are finished, then the session ends`, async (t) => {
    const app = App.start(t, SITE(make));
    const port = await app.listening();
    const busy = new Session(t, app, `${scheme}://127.0.0.1:${port}`);
    const idle = new Session(t, app, `${scheme}://127.0.0.1:${port}`);
    assert.strictEqual(await idle.answer(idle.request('/now')), '/now');
    const slow = busy.request('/slow');
    const events = busy.request('/events');
    const upload = busy.request('/upload', 'POST');
    await app.until('the streams', () => app.messages.length === 4);
    await app.drain();
    await app.until('the kinds', () => app.left && app.left.request === 1 && app.left.upload === 1);
    assert.strictEqual(app.left.event_stream, 1);
    await idle.ended();
    assert.strictEqual(idle.goaways[0][0], 0);
    for (const word of ['/slow', '/events', '/upload']) app.send(word);
    upload.end('body,');
    assert.strictEqual(await busy.answer(slow), '/slow');
    assert.strictEqual(await busy.answer(events), 'data: x\n\n/events');
    assert.strictEqual(await busy.answer(upload), 'body,/upload');
    await busy.ended();
    await app.act('drained');
    await app.leftIs({});
    assert.strictEqual(app.count('closed'), 0);
    assert.strictEqual(await app.disconnect(), 0);
    assert.deepStrictEqual([app.count('closed'), app.uncaught], [1, undefined]);
  });

  test(`${name}: a client that has just connected gets the answer to its first request`, async (t) => {
    const app = App.start(t, SITE(make));
    const port = await app.listening();
    const fresh = new Session(t, app, `${scheme}://127.0.0.1:${port}`);
    const silent = new Session(t, app, `${scheme}://127.0.0.1:${port}`);
    // The settings come from the worker, so it has accepted them.
    const taken = ({ session }) => new Promise((come) => { session.once('remoteSettings', come); });
    await Promise.all([fresh, silent].map(taken));
    await app.drain();
    assert.strictEqual(await fresh.answer(fresh.request('/now')), '/now');
    await fresh.ended();
    await silent.ended();
    await app.act('drained');
    assert.strictEqual(await app.disconnect(), 0);
  });

  test(`${name}: what a busy client sends is answered, or refused unseen`, async (t) => {
    const app = App.start(t, SITE(make));
    const port = await app.listening();
    const session = new Session(t, app, `${scheme}://127.0.0.1:${port}`);
    await session.answer(session.request('/now'));
    const streams = [];
    let stopped = false;
    const more = () => {
      if (session.session.closed || session.session.destroyed || stopped) return;
      for (let n = 0; n < 5; n++) streams.push(session.request('/now'));
      setImmediate(more);
    };
    more();
    t.after(() => { stopped = true; });
    await app.until('traffic', () => streams.length > 100);
    await app.drain();
    await session.ended();
    // Node's client gives up what it has not sent yet when it sees a GOAWAY: refused, and thus safe to send again.
    for (const stream of streams) await session.answer(stream);
    const refused = streams.filter((stream) => stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM);
    const answered = streams.filter((stream) => stream.text === '/now' && !stream.failed);
    const rest = streams.filter((stream) => !refused.includes(stream) && !answered.includes(stream))
      .map(({ id, rstCode, failed, text }) => ({ id, rstCode, failed, text }));
    assert.deepStrictEqual(rest, []);
    assert.strictEqual(app.count('/now'), answered.length + 1);
    await app.act('drained');
    assert.strictEqual(await app.disconnect(), 0);
  });
}

test('HTTP/1 on an HTTP/2 server', async (t) => {
  const app = App.start(t, SITE('http2.createSecureServer(keys)'));
  const port = await app.listening();
  const connect = () => tls.connect({ port, host: '127.0.0.1', ca, servername: 'localhost', ALPNProtocols: ['http/1.1'] });
  const client = await app.client(port, connect);
  await client.get('/now').answered();
  const slow = await app.client(port, connect);
  slow.get('/slow');
  await app.message('/slow');
  await app.drain();
  await app.leftIs({ request: 1, idle_tls: 1 });
  assert.strictEqual((await client.get('/now').answered(2)).close, true);
  app.send('/slow');
  assert.strictEqual((await slow.answered()).close, true);
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
});
