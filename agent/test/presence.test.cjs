'use strict';

// What an app can notice of the agent: as little as possible.

const test = require('node:test');
const assert = require('node:assert');
const { fork } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { AGENT, App, WORKER_VERSION, until } = require('./harness.cjs');

const MAJOR = parseInt(WORKER_VERSION.slice(1), 10);

test('hello comes before user code', async (t) => {
  const app = App.start(t, `say('user code');`);
  await app.message('user code');
  assert.deepStrictEqual(app.order, ['hello', 'user code']);
  assert.deepStrictEqual(app.acts, [{ cmd: 'NODE_RELEVO', v: 1, act: 'hello', node: WORKER_VERSION, handover: MAJOR >= 18 }]);
});

test('an ESM app', async (t) => {
  const app = App.start(t, `
    import http from 'node:http';
    http.createServer((req, res) => res.end('esm')).listen(0, '127.0.0.1');
  `, { extension: '.mjs' });
  const client = await app.client(await app.listening());
  assert.strictEqual((await client.get().answered()).body, 'esm');
  await app.drain();
  assert.strictEqual((await client.get().answered(2)).close, true);
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
});

test('the app does not see it', async (t) => {
  const app = App.start(t, `
    say({
      execArgv: process.execArgv,
      env: process.env.NODE_OPTIONS || '',
      globals: Object.keys(globalThis),
      process: Object.keys(process).sort(),
      listeners: ['message', 'disconnect', 'exit', 'beforeExit'].map((name) => process.listenerCount(name)),
    });
  `);
  const bare = App.start(t, `
    say({
      execArgv: process.execArgv,
      env: process.env.NODE_OPTIONS || '',
      globals: Object.keys(globalThis),
      process: Object.keys(process).sort(),
      listeners: ['message', 'disconnect', 'exit', 'beforeExit'].map((name) => process.listenerCount(name)),
    });
  `, { agent: false });
  await app.until('both', () => app.messages.length && bare.messages.length);
  assert.deepStrictEqual(app.messages[0], bare.messages[0]);
});

test('children of the app are without it, also with other options beside it', async (t) => {
  const app = App.start(t, `
    const { fork } = require('child_process');
    if (process.argv[2] === 'child') say({ child: process.execArgv, agent: !!process[Symbol.for('relevo.agent')] });
    else fork(__filename, ['child']).on('message', say);
  `);
  await app.message({ child: [], agent: false });
});

test('only its own option is taken out of execArgv', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'relevo-agent-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const other = path.join(directory, 'other.cjs');
  fs.writeFileSync(other, '');
  const exec = path.join(directory, 'app.cjs');
  fs.writeFileSync(exec, 'process.send(process.execArgv); process.disconnect();');
  const link = path.join(directory, 'link.cjs');
  fs.symlinkSync(AGENT, link);
  for (const form of [['--require', AGENT], ['-r', AGENT], [`--require=${AGENT}`], ['--require', link]]) {
    const child = fork(exec, [], {
      execArgv: ['--require', other, ...form, '--no-warnings'],
      env: { ...process.env, NODE_UNIQUE_ID: '7' },
    });
    const messages = [];
    child.on('message', (message) => messages.push(message));
    await until('execArgv', () => messages.length, () => form);
    assert.deepStrictEqual(messages[0], ['--require', other, '--no-warnings']);
  }
});

test('it does nothing where it is not in a cluster worker', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'relevo-agent-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const exec = path.join(directory, 'app.cjs');
  fs.writeFileSync(exec, 'if (process.send) process.send(!!process[Symbol.for("relevo.agent")]);');
  const child = fork(exec, [], { execArgv: ['--require', AGENT] });
  const seen = [];
  let code;
  child.on('message', (message) => seen.push(message));
  child.on('internalMessage', (message) => seen.push(message));
  child.on('exit', (exit) => { code = exit; });
  await until('the exit of a script that has nothing to do', () => code !== undefined, () => seen);
  assert.deepStrictEqual([code, seen], [0, [false]]);
});

test('threads are left alone', async (t) => {
  const app = App.start(t, `
    const { Worker } = require('worker_threads');
    new Worker(\`
      const http = require('http');
      const { parentPort } = require('worker_threads');
      http.createServer((req, res) => res.end('thread')).listen(0, '127.0.0.1', function () {
        parentPort.postMessage({ port: this.address().port, agent: !!process[Symbol.for('relevo.agent')] });
      });
    \`, { eval: true }).on('message', say);
  `);
  await app.until('the port', () => app.messages.length);
  assert.strictEqual(app.messages[0].agent, false);
  await app.drain();
  await app.act('drained');
  const client = await app.client(app.messages[0].port, undefined, false);
  assert.strictEqual((await client.get().answered()).body, 'thread');
});

test('an ended channel raises nothing', async (t) => {
  const app = App.start(t, `
    process.removeAllListeners('disconnect');
    process.on('disconnect', () => setImmediate(() => process.exit(7)));
    gate('go').then(() => process.disconnect());
  `);
  await app.act('hello');
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'drain', deadline_ms: 1 });
  app.send('go');
  await app.exited();
  assert.deepStrictEqual([app.exit, app.uncaught], [7, undefined]);
});

test('unknown acts are ignored', async (t) => {
  const app = App.start(t, `gate('go').then(() => say('alive'));`);
  await app.act('hello');
  app.send({ cmd: 'NODE_RELEVO', v: 1, act: 'from the future' });
  app.send({ cmd: 'NODE_RELEVO' });
  app.send('go');
  await app.message('alive');
});

for (const [what, extension, source] of [
  ['isPrimary', '.cjs', `const c = require('cluster'); if (c.isPrimary) c.fork();`],
  ['isMaster, taken apart', '.cjs', `const { isMaster, fork } = require('node:cluster'); if (isMaster) fork();`],
  ['an ES module', '.mjs', `import cluster from 'node:cluster'; if (cluster.isPrimary) cluster.fork();`],
]) {
  const skip = source.includes('isPrimary') && MAJOR < 16 && 'there is no isPrimary yet';
  test(`an app that forks for itself: ${what}`, { skip }, async (t) => {
    const app = App.start(t, `${source}\nsay('end');`, { extension });
    await app.message('end');
    const told = app.acts.filter(({ act }) => act === 'primary_branch');
    assert.deepStrictEqual(told.map(({ file }) => file), [require('path').join(app.directory, `app${extension}`)]);
  });
}

test('an app that only asks whether it is the primary', async (t) => {
  const app = App.start(t, `
    const cluster = require('cluster');
    for (let n = 0; n < 200; n++) if (cluster.isPrimary || cluster.isMaster) throw new Error('no');
    const plain = { value: false, writable: true, enumerable: true, configurable: true };
    const names = Object.keys(cluster).filter((name) => ['isPrimary', 'isMaster'].includes(name));
    const own = (name) => Object.getOwnPropertyDescriptor(cluster, name);
    say({ names, same: names.every((name) => require('util').isDeepStrictEqual(own(name), plain)) });
    cluster.isMaster = 'set';
    say(cluster.isMaster);
  `);
  await app.message('set');
  assert.strictEqual(app.messages[0].same, true);
  assert.strictEqual(app.messages[0].names.length, MAJOR >= 16 ? 2 : 1);
  assert.deepStrictEqual(app.acts.filter(({ act }) => act === 'primary_branch'), []);
});

test('connections that the app gave away are not waited for', async (t) => {
  const app = App.start(t, `
    require('http').createServer((request, response) => {
      if (request.url === '/give') process.send('a socket', request.socket);
      else response.end('kept');
    }).listen(0, '127.0.0.1');
  `);
  const port = await app.listening();
  app.worker.on('message', (message, socket) => socket && socket.destroy());
  const given = await app.client(port);
  given.get('/give');
  await app.message('a socket');
  const kept = await app.client(port);
  assert.strictEqual((await kept.get().answered()).body, 'kept');
  kept.socket.destroy();
  await app.drain();
  await app.act('drained');
  assert.strictEqual(await app.disconnect(), 0);
});
