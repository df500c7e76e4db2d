'use strict';

// How an HTTP/2 session in clear text ends, frame by frame: no stream is refused, and none lacks its end.

const test = require('node:test');
const assert = require('node:assert');
const net = require('net');
const { App } = require('./harness.cjs');

const [DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE] = [0, 1, 4, 6, 7, 8];
const [END_STREAM, ACK, END_HEADERS] = [1, 1, 4];
const EVERY_STREAM = 2 ** 31 - 1;

const SITE = `
  const server = require('http2').createServer();
  const waiting = [];
  server.on('request', (req, res) => {
    if (req.url === '/now') res.end('x');
    else waiting.push(res);
    say(req.stream.id);
  });
  gate('all at once').then(() => { for (const res of waiting) res.end('x'); });
  server.listen(0, '127.0.0.1');
`;

const number = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Opens streams when it is told to, also when it has been asked not to: what it sends is then on its way. */
class Peer {
  static async connect(t, app, { acknowledges = true } = {}) {
    const port = await app.listening();
    const peer = new Peer(app, net.connect(port, '127.0.0.1'), acknowledges);
    t.after(() => peer.socket.destroy());
    return peer;
  }

  constructor(app, socket, acknowledges) {
    Object.assign(this, { app, socket, acknowledges, next: 1, ended: [], goaways: [], pings: [], over: false, rest: Buffer.alloc(0) });
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(frame(SETTINGS, 0, 0));
    socket.on('data', (bytes) => this.read(bytes));
    socket.on('error', (error) => { this.over = error.code; });
    socket.on('close', () => { this.over = this.over || 'closed'; });
  }

  /** A GET; returns the stream's number. */
  request(path) {
    const stream = this.next;
    this.next += 2;
    // By the numbers of HPACK's static table: GET, http, a path and an authority in letters.
    const fields = [0x82, 0x86, 0x04, path.length, ...Buffer.from(path), 0x01, 1, 0x78];
    this.socket.write(frame(HEADERS, END_STREAM | END_HEADERS, stream, Buffer.from(fields)));
    return stream;
  }

  read(bytes) {
    this.rest = Buffer.concat([this.rest, bytes]);
    while (this.rest.length >= 9 && this.rest.length >= 9 + this.rest.readUIntBE(0, 3)) {
      const end = 9 + this.rest.readUIntBE(0, 3);
      const [type, flags, stream] = [this.rest[3], this.rest[4], this.rest.readUInt32BE(5)];
      const payload = this.rest.subarray(9, end);
      this.rest = this.rest.subarray(end);
      this.got(type, flags, stream, payload);
    }
  }

  got(type, flags, stream, payload) {
    if (type === SETTINGS && !(flags & ACK)) this.socket.write(frame(SETTINGS, ACK, 0));
    if (type === GOAWAY) this.goaways.push(payload.readUInt32BE(0));
    if (type === PING && !(flags & ACK)) {
      this.pings.push(payload);
      if (this.acknowledges) this.acknowledge();
    }
    if (type === DATA && payload.length > 0) this.socket.write(frame(WINDOW_UPDATE, 0, stream, number(payload.length)));
    if ((type === DATA || type === HEADERS) && flags & END_STREAM) this.ended.push(stream);
  }

  acknowledge() {
    for (const payload of this.pings.splice(0)) this.socket.write(frame(PING, ACK, 0, payload));
  }

  until(what, probe) {
    return this.app.until(`${what}; goaways ${this.goaways}, ended ${this.ended}, over ${this.over}`, probe);
  }
}

test('streams that come between the two GOAWAYs are served', async (t) => {
  const app = App.start(t, SITE);
  const peer = await Peer.connect(t, app, { acknowledges: false });
  peer.request('/now');
  await peer.until('an answer', () => peer.ended.length === 1);
  await app.drain();
  await peer.until('the first GOAWAY and a PING', () => peer.goaways.length === 1 && peer.pings.length === 1);
  const late = [peer.request('/now'), peer.request('/now')];
  await peer.until('answers to the late ones', () => late.every((stream) => peer.ended.includes(stream)));
  assert.deepStrictEqual([peer.goaways, peer.over], [[EVERY_STREAM], false]);
  peer.acknowledge();
  await peer.until('the end', () => peer.over);
  // The session names the last stream again when it is closed.
  assert.deepStrictEqual([...new Set(peer.goaways)], [EVERY_STREAM, late[1]]);
  assert.strictEqual(peer.over, 'closed');
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
  assert.strictEqual(app.uncaught, undefined);
});

test('a session whose client never acknowledges ends all the same', async (t) => {
  const app = App.start(t, SITE);
  const peer = await Peer.connect(t, app, { acknowledges: false });
  peer.request('/now');
  await peer.until('an answer', () => peer.ended.length === 1);
  await app.drain();
  await peer.until('the end', () => peer.over);
  assert.deepStrictEqual([...new Set(peer.goaways)], [EVERY_STREAM, 1]);
  await app.act('drained');
});

test('responses that end together have all of their frames when the session ends with them', async (t) => {
  const app = App.start(t, SITE);
  const peer = await Peer.connect(t, app);
  const streams = Array.from({ length: 60 }, () => peer.request('/later'));
  await app.until('the requests', () => app.messages.length === streams.length);
  await app.drain();
  await peer.until('the last GOAWAY', () => peer.goaways.length >= 2);
  app.send('all at once');
  await peer.until('the end', () => peer.over);
  assert.deepStrictEqual(peer.ended.sort((a, b) => a - b), streams);
  await app.act('drained');
});
