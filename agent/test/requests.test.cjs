'use strict';

// The agent says once when the worker has been asked as many requests as it may be.

const test = require('node:test');
const assert = require('node:assert');
const http = require('http');
const http2 = require('http2');
const { App } = require('./harness.cjs');

const HTTP = `
  const http = require('http');
  const server = http.createServer((req, res) => res.end('x'));
  server.listen(0, '127.0.0.1');
`;

const HTTP2 = `
  const http2 = require('http2');
  const server = http2.createServer((req, res) => res.end('x'));
  server.listen(0, '127.0.0.1');
`;

const reached = (app) => app.acts.filter(({ act }) => act === 'requests_reached');

/** The answer to \`count\` shows that what was sent before has been read. */
async function limit(app, n) {
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'limit_requests', n });
  const loads = () => app.acts.filter(({ act }) => act === 'load').length;
  const before = loads();
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'count', every_ms: 0 });
  await app.until('the load', () => loads() > before);
}

function ask(port, agent) {
  return new Promise((resolve, reject) => {
    http.get({ port, host: '127.0.0.1', agent }, (res) => res.resume().on('end', resolve)).on('error', reject);
  });
}

test('HTTP/1 requests are counted one by one, on new connections and on kept ones', async (t) => {
  const app = App.start(t, HTTP);
  const port = await app.listening();
  await ask(port);
  await limit(app, 3);
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  await ask(port, agent);
  await ask(port, agent);
  await limit(app, 0); // not a limit
  assert.deepStrictEqual(reached(app), []);
  await ask(port);
  await app.until('the limit', () => reached(app).length === 1);
  assert.deepStrictEqual(reached(app), [{ cmd: 'NODE_RELEVO', v: 1, act: 'requests_reached', n: 3 }]);
  for (let n = 0; n < 5; n++) await ask(port);
  await app.until('a load', () => app.acts.length > 0);
  assert.strictEqual(reached(app).length, 1);
});

test('streams of HTTP/2 are counted', async (t) => {
  const app = App.start(t, HTTP2);
  const port = await app.listening();
  await limit(app, 2);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const request = () => new Promise((resolve, reject) => {
    session.request({ ':path': '/' }).on('error', reject).on('end', resolve).resume();
  });
  await request();
  assert.deepStrictEqual(reached(app), []);
  await request();
  await app.until('the limit', () => reached(app).length === 1);
});
