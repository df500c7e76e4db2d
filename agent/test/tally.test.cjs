'use strict';

// What the agent counts of its worker's answers, and when it reports it.

const test = require('node:test');
const assert = require('node:assert');
const http2 = require('http2');
const { App } = require('./harness.cjs');

const HTTP = `
  const http = require('http');
  const server = http.createServer((req, res) => {
    if (req.url === '/500') { res.statusCode = 503; res.end('x'); }
    else if (req.url === '/destroy') { res.write('x'); setImmediate(() => res.destroy()); }
    else if (req.url === '/throw') { process.removeAllListeners('uncaughtException'); process.on('uncaughtException', () => res.end('x')); setImmediate(() => { throw new Error('told to'); }); }
    else if (req.url === '/hang') say('hangs');
    else res.end('x');
  });
  server.listen(0, '127.0.0.1');
`;

const tallies = (app) => app.acts.filter(({ act }) => act === 'tally');

/** Asks for the counts; `every` says how often they come unasked from then on. The answer is the next report. */
async function tally(app, every = 0) {
  const before = tallies(app).length;
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'tally', every_ms: every });
  await app.until('the tally', () => tallies(app).length > before);
  return counts(tallies(app)[before]);
}

const counts = ({ answered, failed, aborted, uncaught }) => [answered, failed, aborted, uncaught];

/** Waits for a report, unasked, of these counts. */
function reported(app, wanted) {
  return app.until(`the tally ${wanted}`, () => tallies(app).some((said) => String(counts(said)) === String(wanted)));
}

test('answers, errors, broken responses and exceptions are counted', async (t) => {
  const app = App.start(t, HTTP);
  const port = await app.listening();
  assert.deepStrictEqual(await tally(app, 50), [0, 0, 0, 0]);
  const client = await app.client(port);
  client.get();
  await client.answered();
  await reported(app, [1, 0, 0, 0]);
  client.get('/500');
  await client.answered(2);
  await reported(app, [2, 1, 0, 0]);
  client.get('/throw');
  await client.answered(3);
  await reported(app, [3, 1, 0, 1]);
  client.get('/destroy');
  await client.ended();
  await reported(app, [3, 1, 1, 1]);
});

test('what the client gives up is no error', async (t) => {
  const app = App.start(t, HTTP);
  const port = await app.listening();
  await tally(app);
  for (const how of ['end', 'destroy', 'resetAndDestroy']) {
    const client = await app.client(port);
    if (typeof client.socket[how] !== 'function') continue;
    client.get('/hang');
    await app.until('its request', () => app.count('hangs') > 0);
    app.messages.length = 0;
    app.order.length = 0;
    client.socket[how]();
    await client.ended();
  }
  const after = await app.client(port);
  after.get();
  await after.answered();
  assert.deepStrictEqual((await tally(app)).slice(1), [0, 0, 0]);
});

test('nothing is counted before it is asked for', async (t) => {
  const app = App.start(t, HTTP);
  const client = await app.client(await app.listening());
  client.get('/500');
  await client.answered();
  assert.deepStrictEqual(await tally(app), [0, 0, 0, 0]);
  client.get('/500');
  await client.answered(2);
  assert.deepStrictEqual(await tally(app), [1, 1, 0, 0]);
  assert.strictEqual(tallies(app).length, 2);
});

test('what is not a time is not answered', async (t) => {
  const app = App.start(t, HTTP);
  await app.listening();
  for (const every of [-1, 0.5, '100', null, undefined]) {
    app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'tally', every_ms: every });
  }
  await tally(app);
  assert.strictEqual(tallies(app).length, 1);
});

test('streams of HTTP/2', async (t) => {
  const app = App.start(t, `
    const server = require('http2').createServer();
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      if (headers[':path'] === '/reset') { stream.close(2); return; }
      stream.respond({ ':status': headers[':path'] === '/500' ? 500 : 200 });
      stream.end('x');
    });
    server.listen(0, '127.0.0.1');
  `);
  const port = await app.listening();
  await tally(app, 50);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const ask = (path) => new Promise((resolve) => {
    session.request({ ':path': path }).on('error', () => {}).on('close', () => resolve()).resume().end();
  });
  await ask('/');
  await reported(app, [1, 0, 0, 0]);
  await ask('/500');
  await reported(app, [2, 1, 0, 0]);
  await ask('/reset');
  await reported(app, [2, 1, 1, 0]);
});
