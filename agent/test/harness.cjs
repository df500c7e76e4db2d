'use strict';

// A real cluster primary with one worker that runs a small app under the agent, and raw clients for it.
// The primary deals connections or shares its handle by NODE_CLUSTER_SCHED_POLICY (rr, none), as Node has it.

const { spawnSync } = require('child_process');
const cluster = require('cluster');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');

const AGENT = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'relevo-agent-')), 'agent.cjs');
fs.writeFileSync(AGENT, require('../join.cjs').joined());
process.on('exit', () => fs.rmSync(path.dirname(AGENT), { recursive: true, force: true }));
const DEADLINE_MS = 20000;
// Node 14 and 16 have no test runner like this: there, only the workers run on them.
const WORKER_NODE = process.env.RELEVO_WORKER_NODE || process.execPath;
const WORKER_VERSION = spawnSync(WORKER_NODE, ['--version'], { encoding: 'utf8' }).stdout.trim();

// What each app begins with: `say` tells the test, `gate` waits for its word.
const PRELUDE = `
const { say, gate } = (() => {
  const open = new Set();
  const waiting = [];
  process.on('message', (word) => {
    open.add(word);
    for (const look of [...waiting]) look();
  });
  return {
    say: (message) => process.send(message),
    gate: (word) => new Promise((resolve) => {
      const look = () => { if (open.delete(word)) { waiting.splice(waiting.indexOf(look), 1); resolve(); } };
      waiting.push(look);
      look();
    }),
  };
})();
if (typeof require === 'function' && parseInt(process.versions.node, 10) >= 16) {
  require('diagnostics_channel').channel('net.server.socket').subscribe(() => process.send({ accepted: 1 }));
} else if (typeof require === 'function') {
  const { prototype } = require('net').Server; // which has no emit() of its own
  const { emit } = prototype;
  prototype.emit = function (name, socket) {
    const result = emit.apply(this, arguments);
    if (name === 'connection' && socket && socket._server === this) process.send({ accepted: 1 });
    return result;
  };
}
process.on('uncaughtException', (error) => { process.send({ uncaught: String(error.stack) }); process.exit(70); });
`;

/** Waits until `probe` gives something true; otherwise fails with the last state that was seen. */
async function until(what, probe, state = () => '') {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const value = probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting for ${what}; last state: ${state()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** cluster.fork() has no option for it, and takes the path from here. */
function forkOn(node) {
  const { execPath } = process;
  process.execPath = node;
  try {
    return cluster.fork();
  } finally {
    process.execPath = execPath;
  }
}

class App {
  /** Starts a worker that runs `source`; it ends with the test `t`. */
  static start(t, source, { extension = '.cjs', agent = true } = {}) {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'relevo-agent-'));
    const exec = path.join(directory, `app${extension}`);
    fs.writeFileSync(exec, PRELUDE + source);
    for (const name of ['key.pem', 'cert.pem']) fs.copyFileSync(path.join(__dirname, name), path.join(directory, name));
    cluster.setupPrimary({ exec, cwd: directory, execArgv: agent ? ['--require', AGENT] : [], silent: false });
    const app = new App(forkOn(WORKER_NODE), directory);
    t.after(async () => {
      app.worker.process.kill('SIGKILL');
      await app.exited();
      for (const client of app.clients) client.socket.destroy();
      fs.rmSync(directory, { recursive: true, force: true });
    });
    app.tellsAccepted = extension === '.cjs';
    return app;
  }

  constructor(worker, directory) {
    this.worker = worker;
    this.directory = directory;
    this.messages = []; // from the app
    this.acts = []; // from the agent
    this.order = []; // both, as they came
    this.addresses = [];
    this.clients = [];
    this.accepted = 0;
    this.exit = undefined;
    this.uncaught = undefined;
    worker.on('message', (message) => {
      if (message && message.accepted) {
        this.accepted += 1;
        return;
      }
      if (message && message.uncaught) this.uncaught = message.uncaught;
      this.messages.push(message);
      this.order.push(message);
    });
    worker.process.on('internalMessage', (message) => {
      if (message.cmd === 'NODE_CLUSTER' && message.act === 'close') this.order.push('handle closed');
      if (message.cmd !== 'NODE_RELEVO') return;
      this.acts.push(message);
      this.order.push(message.act);
    });
    worker.on('listening', (address) => this.addresses.push(address));
    worker.on('disconnect', () => this.order.push('channel closed'));
    worker.on('exit', (code, signal) => {
      this.exit = signal || code;
    });
  }

  until(what, probe) {
    return until(what, probe, () => JSON.stringify({
      exit: this.exit, acts: this.acts, messages: this.messages, addresses: this.addresses,
      clients: this.clients.map((client) => [client.text, client.over]),
    }));
  }

  async listening(n = 1) {
    await this.until(`${n} listeners`, () => this.addresses.length >= n);
    return this.addresses[n - 1].port;
  }

  send(message) {
    this.worker.send(message);
  }

  drain() {
    this.send({ cmd: 'NODE_RELEVO', v: 1, act: 'drain', deadline_ms: 30000 });
    return this.act('stopped');
  }

  act(name) {
    return this.until(`the agent's ${name}`, () => this.acts.find(({ act }) => act === name));
  }

  /** The agent's latest count, without the kinds that are 0. */
  get left() {
    const lefts = this.acts.filter(({ act }) => act === 'left');
    if (lefts.length === 0) return undefined;
    return Object.fromEntries(Object.entries(lefts[lefts.length - 1].kinds).filter(([, count]) => count > 0));
  }

  leftIs(kinds) {
    const wanted = JSON.stringify(kinds);
    return this.until(`left ${wanted}`, () => JSON.stringify(this.left) === wanted);
  }

  message(wanted) {
    const text = JSON.stringify(wanted);
    return this.until(`the app's ${text}`, () => this.messages.some((message) => JSON.stringify(message) === text));
  }

  count(wanted) {
    const text = JSON.stringify(wanted);
    return this.order.filter((entry) => JSON.stringify(entry) === text).length;
  }

  exited() {
    return this.until('the exit', () => this.exit !== undefined);
  }

  /** What the primary does at the end. */
  async disconnect() {
    this.worker.disconnect();
    await this.exited();
    return this.exit;
  }

  /**
   * A raw client, accepted by the worker: this primary drops what waits in the queue of a socket that nobody shares any
   * more. `connect` makes another kind of stream than a TCP connection.
   */
  async client(where, connect = () => net.connect(where), accepts = this.tellsAccepted) {
    const before = this.accepted;
    const client = new Client(this, connect());
    this.clients.push(client);
    await this.until('a connection', () => client.over || (client.open && (!accepts || this.accepted > before)));
    return client;
  }
}

class Client {
  constructor(app, socket) {
    this.app = app;
    this.socket = socket;
    this.text = '';
    this.open = false;
    this.over = undefined; // 'end', or the error's code
    socket.setEncoding('latin1');
    socket.on(socket.encrypted ? 'secureConnect' : 'connect', () => { this.open = true; });
    socket.on('data', (text) => { this.text += text; });
    socket.on('end', () => { this.over = this.over || 'end'; });
    socket.on('error', (error) => { this.over = error.code; });
    socket.on('close', () => { this.over = this.over || 'close'; });
  }

  write(text) {
    this.socket.write(text);
    return this;
  }

  get(url = '/', more = '') {
    return this.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n${more}\r\n`);
  }

  /** Complete responses so far: { status, close, body }. */
  get responses() {
    const found = [];
    let rest = this.text;
    for (;;) {
      const head = /^HTTP\/1\.1 (\d+)[^]*?\r\n\r\n/.exec(rest);
      if (!head) return found;
      const status = Number(head[1]);
      let body = '';
      rest = rest.slice(head[0].length);
      const length = /\r\ncontent-length: (\d+)/i.exec(head[0]);
      if (length) {
        if (rest.length < Number(length[1])) return found;
        body = rest.slice(0, Number(length[1]));
        rest = rest.slice(Number(length[1]));
      } else if (/\r\ntransfer-encoding: chunked/i.test(head[0])) {
        const end = /^([^]*?\r\n)?0\r\n\r\n/.exec(rest);
        if (!end) return found;
        body = end[0].replace(/[0-9a-f]+\r\n([^]*?)\r\n/g, '$1');
        rest = rest.slice(end[0].length);
      }
      found.push({ status, close: /\r\nconnection: close\r\n/i.test(head[0]), body });
    }
  }

  async answered(n = 1) {
    await this.app.until(`${n} responses`, () => this.responses.length >= n || (this.over && this.over !== 'end'));
    return this.responses[n - 1];
  }

  async has(text) {
    await this.app.until(`"${text}" at a client`, () => this.text.includes(text));
  }

  async ended() {
    await this.app.until('the end of a connection', () => this.over);
    return this.over;
  }
}

module.exports = { AGENT, WORKER_VERSION, App, until };
