'use strict';

/*
 * The agent of Relevo: the one file that runs inside a worker, delivered with `node --require <this file> app.js`.
 *
 * The primary can stop dealing connections to a worker, but only the worker knows which of its connections are in
 * use. The agent answers that, and makes the worker wind down without losing a request (docs/drain.md):
 *
 *     serving ──drain──▶ stopped: no listening handle is left, the servers still think that they listen
 *                           │  `left` whenever the work changes
 *                           ▼
 *                        drained: no connection is left
 *                           │  Node's own `disconnect` (or the app's server.close())
 *                           ▼
 *                        closed: the servers' 'close' events come out
 *
 * In whatever state, it reports the worker's load once it has been asked to `count`.
 *
 * Rules it lives by:
 *  - Until a drain or the counting begins, nothing runs per request or per connection: what there is, is looked up
 *    then. Counting costs each connection a few calls, and each request nothing.
 *  - Nothing here may throw into the app, keep its process alive, or show up in it where that can be avoided.
 *  - What is read from Node's internals is looked for, never presumed: where it is missing, the connection is counted
 *    as one of less known kind, and nothing else changes.
 *
 * The channel and its messages are described in docs/node-channel.md.
 */

const COMMAND = 'NODE_RELEVO'; // Node hides messages whose `cmd` begins with NODE_ from the app.
const PROTOCOL_VERSION = 1;
const REPORT_EVERY_MS = 250;
const FIRST_STREAM_MS = 2000; // how long a new HTTP/2 session may take to send its first request
const LINGER_QUIET_MS = 2000; // how long a half-closed connection may say nothing before it is destroyed
const LINGER_MAX_MS = 15000; // and how long it may go on saying things that nobody will read
const LOAD_EVERY_MAX_MS = 60000; // the longest time between two reports of the load that may be asked for

const KINDS = ['request', 'upload', 'event_stream', 'websocket', 'idle', 'unknown'];
const IDLE = KINDS.indexOf('idle');

const quietly = (action) => {
  try {
    return action();
  } catch {
    return undefined; // The app matters more than anything that the agent could say about it.
  }
};

// ------------------------------------------------------------------------------------------- whether to act at all

/** True in the main thread of a Node (18 or later) that is a cluster worker with a channel, the first time. */
function isManagedWorker() {
  const { versions } = process;
  if (versions.bun || versions.deno || !(parseInt(versions.node, 10) >= 18)) return false;
  if (!process.connected || typeof process.send !== 'function') return false;
  if (!require('worker_threads').isMainThread) return false;
  const cluster = require('cluster');
  if (!cluster.isWorker || !cluster.worker) return false;
  const mark = Symbol.for('relevo.agent');
  if (process[mark]) return false; // a second copy of the file, by another path
  Object.defineProperty(process, mark, { value: PROTOCOL_VERSION });
  return true;
}

/**
 * Children that the app forks inherit process.execArgv; they are not ours. Only this file's own option is removed:
 * `--require <file>`, `-r <file>` or `--require=<file>`.
 */
function leaveExecArgv() {
  const { execArgv } = process;
  for (let i = 0; i < execArgv.length; i++) {
    const arg = execArgv[i];
    if ((arg === '--require' || arg === '-r') && isThisFile(execArgv[i + 1])) {
      execArgv.splice(i, 2);
      return;
    }
    if (arg.startsWith('--require=') && isThisFile(arg.slice('--require='.length))) {
      execArgv.splice(i, 1);
      return;
    }
  }
}

function isThisFile(path) {
  if (!path) return false;
  if (path === __filename || require('path').resolve(path) === __filename) return true;
  return quietly(() => require('fs').realpathSync(path)) === __filename;
}

// ----------------------------------------------------------------------------------------------------------- state

/** Objects that are alive anyway as long as they matter, and must not be kept alive by us when they no longer do. */
class WeakList {
  constructor(isGone) {
    this.isGone = isGone;
    this.refs = [];
    this.known = new WeakSet();
    this.limit = 1024;
  }

  // Once only: a server may listen again after it was closed.
  add(object) {
    if (this.known.has(object)) return;
    this.known.add(object);
    if (this.refs.length >= this.limit) this.prune();
    this.refs.push(new WeakRef(object));
  }

  // The limit doubles with what is alive, so the cost per addition stays constant.
  prune() {
    this.refs = this.refs.filter((ref) => {
      const object = ref.deref();
      return object !== undefined && !this.isGone(object);
    });
    this.limit = Math.max(1024, 2 * this.refs.length);
  }

  live() {
    this.prune();
    return this.refs.map((ref) => ref.deref());
  }
}

let cluster;
let net;
let sendOfNode; // process.send as Node made it: what the app or an APM tool puts there later is not for us

const servers = new WeakList(() => false); // every net.Server that began to listen
const ofPrimary = new WeakSet(); // those among them that have listened on a handle of the primary's
const udpSockets = new WeakList(() => false);
const tlsOver = new WeakMap(); // raw socket -> its TLSSocket, once the handshake is done
const tlsWatched = new WeakSet();
const connectionsWatched = new WeakSet();

let draining = false;
const detached = new Set(); // servers whose listening handle the agent closed and whose 'close' is still to come
const connections = new Map(); // raw socket -> Connection, from the beginning of the drain
const connectionOf = new WeakMap(); // raw socket or TLSSocket -> Connection

function start() {
  cluster = require('cluster');
  net = require('net');
  sendOfNode = process.send;
  leaveExecArgv();
  watchServers();
  watchUdp();
  quietly(watchPrimaryBranch);
  // In front of cluster's own listener: a `disconnect` must find the servers that it no longer knows of.
  process.prependListener('internalMessage', (message) => quietly(() => onMessage(message)));
  say({ act: 'hello', node: process.version });
}

// ---------------------------------------------------------------------------------------- apps that fork for themselves

const ASKS_LOOKED_AT = 64; // a logger may ask with every line; a program decides by the first few

/**
 * `if (cluster.isPrimary) { …fork()… } else { …listen() }`: a worker runs the else branch only, and its owner should be
 * told. Many libraries ask the same question, so the sign is a file that asks it and has a call of fork().
 */
function watchPrimaryBranch() {
  const looked = new Set();
  let asks = 0;
  const settle = () => {
    for (const name of ['isPrimary', 'isMaster']) {
      const own = { configurable: true, enumerable: true, writable: true, value: false };
      if (name in cluster) Object.defineProperty(cluster, name, own);
    }
  };
  for (const name of ['isPrimary', 'isMaster']) {
    if (!(name in cluster)) continue;
    Object.defineProperty(cluster, name, {
      configurable: true,
      enumerable: true,
      get: () => {
        quietly(() => {
          const file = callerOf();
          if (file && !looked.has(file)) {
            looked.add(file);
            if (hasForkCall(file)) {
              settle();
              say({ act: 'primary_branch', file });
            }
          }
          asks += 1;
          if (asks === ASKS_LOOKED_AT) settle();
        });
        return false;
      },
      set: (value) => {
        settle();
        cluster[name] = value;
      },
    });
  }
}

/** The path of the file that reads the property; undefined for Node's own, which read all of them for ES modules. */
function callerOf() {
  const { prepareStackTrace, stackTraceLimit } = Error;
  let name;
  try {
    Error.stackTraceLimit = 8; // enough to get out of this file
    Error.prepareStackTrace = (_, sites) => sites.map((site) => site.getFileName());
    name = new Error().stack.find((file) => file !== __filename);
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
  if (typeof name !== 'string' || name.startsWith('node:')) return undefined;
  return name.startsWith('file:') ? require('url').fileURLToPath(name) : name;
}

function hasForkCall(file) {
  return /\bfork\s*\(/.test(require('fs').readFileSync(file, 'utf8'));
}

// --------------------------------------------------------------------------------------------------------- channel

/** A callback is given so that a channel that has ended tells it, instead of raising 'error' on process. */
function say(fields, written = () => {}) {
  if (!process.connected) return;
  quietly(() => {
    sendOfNode.call(process, { cmd: COMMAND, v: PROTOCOL_VERSION, ...fields }, undefined, undefined, written);
  });
}

function onMessage(message) {
  if (message.cmd === COMMAND) {
    if (message.act === 'drain' && !draining) drain();
    else if (message.act === 'count') count(message.every_ms);
  } else if (message.cmd === 'NODE_CLUSTER' && message.act === 'disconnect') {
    holdDisconnect(message);
  }
}

// --------------------------------------------------------------------------------------------------------- servers

/**
 * Every way to listen (subclasses with their own listen(), tools that patch it, cluster handles, exclusive ports, unix
 * sockets, handles) ends in `server._listen2(…)`, called as a method because others wrap it there too; so it has been
 * from Node 0.x to 26. Node calls it at the one moment that counts: the handle is known, and begins to listen.
 */
function watchServers() {
  const listenOfNode = net.Server.prototype._listen2;
  if (typeof listenOfNode !== 'function') throw new Error('no place to notice listening servers'); // hence no hello
  net.Server.prototype._listen2 = function setupListenHandle(address, port, addressType, backlog, fd, flags) {
    if (this._handle) quietly(() => ofPrimary.add(this));
    // While draining, the primary's handle is given back without ever listening on it; a port of the app's own is
    // opened by Node itself, so it can only be closed right after.
    if (draining && this._handle) quietly(() => detach(this));
    const result = listenOfNode.call(this, address, port, addressType, backlog, fd, flags);
    quietly(() => {
      servers.add(this);
      watchTls(this);
      if (watchingConnections) watchConnectionsOf(this);
      if (draining) detach(this);
    });
    return result;
  };
}

/**
 * Stands in for the listening handle that was closed, so that to the app and to Node nothing has changed yet:
 * `server.listening` stays true and address() answers (health checks!), the last connection's end does not bring out
 * 'close' (apps exit there), and server.close(), whenever it comes, does what it always does, once.
 */
class StandIn {
  constructor(server, handle) {
    this.server = server;
    this.fd = -1;
    if (typeof handle.getsockname === 'function') {
      const name = {};
      handle.getsockname(name);
      // Pipes have no such method, and net.Server#address looks whether it is there.
      this.getsockname = (out) => {
        Object.assign(out, name);
        return 0;
      };
    }
  }

  close() {
    detached.delete(this.server);
  }

  // A server that starts during the drain listens on this at once, in vain.
  listen() {
    return 0;
  }

  fchmod() {
    return 0;
  }

  // The channel keeps the worker alive until `disconnect`; then the servers are closed anyway.
  ref() {}
  unref() {}
  hasRef() {
    return false;
  }
}

/**
 * Closes the listening handle only. http.Server#close would close idle connections (19+; 26: also those whose first
 * request is under way). For both kinds of cluster handles, close() also tells the primary `{act:"close",key}`.
 */
function detach(server) {
  const handle = server._handle;
  if (!handle || handle instanceof StandIn) return false;
  server._handle = new StandIn(server, handle);
  detached.add(server);
  handle.close();
  return true;
}

// ------------------------------------------------------------------------------------- disconnect, and 'close' events

/**
 * Node's `disconnect` closes the servers in cluster's table, waits for their 'close' and then leaves the channel. Ours
 * are no longer in that table, so the message is set aside, they are closed in the same way, and then it goes on.
 */
function holdDisconnect(message) {
  if (detached.size === 0) return;
  message.act = 'relevo.held';
  cluster.worker.exitedAfterDisconnect = true;
  closeDetached(() => {
    if (process.connected) process.emit('internalMessage', { cmd: 'NODE_CLUSTER', act: 'disconnect' }, undefined);
  });
}

/** The same for cluster.worker.disconnect(), called by the app itself. */
function watchWorkerDisconnect() {
  const { worker } = cluster;
  const disconnectOfNode = worker.disconnect;
  Object.defineProperty(worker, 'disconnect', {
    configurable: true,
    writable: true,
    value: function disconnect() {
      if (detached.size === 0 || this.state === 'disconnecting') return disconnectOfNode.call(this);
      this.exitedAfterDisconnect = true;
      closeDetached(() => disconnectOfNode.call(this));
      return this;
    },
  });
}

function closeDetached(done) {
  let waiting = 1;
  const closed = () => {
    waiting -= 1;
    if (waiting === 0) quietly(done);
  };
  for (const server of [...detached]) {
    waiting += 1;
    server.once('close', closed);
    // As cluster does it: the method that the app sees, with whatever it or a library put there.
    quietly(() => server.close());
    if (server._handle instanceof StandIn) quietly(() => net.Server.prototype.close.call(server));
  }
  closed();
}

// ----------------------------------------------------------------------------------------------------- connections

let watchingConnections = false; // from the beginning of the drain or the counting

/**
 * Node publishes every socket that a net.Server accepted, after the 'connection' listeners have run. An app cannot tell
 * from its servers that somebody listens there, nor take it away with removeAllListeners(); and what it hands to a
 * server itself (`server.emit('connection', …)`) is not accepted twice.
 */
function watchConnections() {
  if (watchingConnections) return;
  watchingConnections = true;
  if (publishesSockets()) subscribe('net.server.socket', ({ socket }) => onAccepted(socket));
  else for (const server of servers.live()) quietly(() => watchConnectionsOf(server));
}

function onAccepted(socket) {
  if (draining) track(socket, socket);
  if (counting) countAccepted(socket);
}

/** The channel came in the course of 18; on releases that may lack it, a listener does, though the app can see it. */
function publishesSockets() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > 18 || minor >= 13;
}

// Never both: some of those releases publish as well, and a connection would be counted twice.
function watchConnectionsOf(server) {
  if (publishesSockets() || connectionsWatched.has(server)) return;
  connectionsWatched.add(server);
  server.on('connection', (socket) => quietly(() => onAccepted(socket)));
}

function subscribe(name, onPublished) {
  const channels = require('diagnostics_channel');
  const listener = (message) => quietly(() => onPublished(message));
  if (channels.subscribe) channels.subscribe(name, listener);
  else channels.channel(name).subscribe(listener);
}

/** Nothing leads from a raw socket to the TLSSocket over it, so it must be remembered (once per handshake). */
function watchTls(server) {
  if (typeof server.setSecureContext !== 'function' || tlsWatched.has(server)) return;
  tlsWatched.add(server);
  server.on('secureConnection', (socket) => quietly(() => {
    tlsOver.set(rawOf(socket), socket);
    if (draining) trackAgain(socket);
  }));
}

function rawOf(socket) {
  let raw = socket;
  for (let depth = 0; depth < 4 && raw._handle && raw._handle._parentWrap; depth++) raw = raw._handle._parentWrap;
  return raw;
}

/** One accepted connection during the drain. */
class Connection {
  constructor(raw, top) {
    this.raw = raw;
    this.top = top; // what HTTP speaks on: the TLSSocket, or the raw socket itself
    this.share = NOTHING; // what it contributes to `left`
    this.begun = false; // HTTP/1: bytes of a message have come whose headers have not all come
    this.closing = undefined; // HTTP/1: the response that announces the end, see announceClose
    this.discarding = false; // nothing that comes in is parsed any more
    this.lingering = undefined; // half-closed, waiting for the peer: { since, heardAt, bytes }
    this.session = undefined; // HTTP/2
  }

  get gone() {
    return this.raw.destroyed || this.top.destroyed || (this.top === this.raw && isGivenAway(this.raw));
  }
}

/** `process.send(…, socket)` and the like take the handle out and leave the socket as it is: it never closes. */
function isGivenAway(raw) {
  return !raw._handle;
}

function track(raw, top) {
  let connection = connections.get(raw);
  if (connection === undefined) {
    if (raw.destroyed || isGivenAway(raw)) return undefined;
    connection = new Connection(raw, raw);
    connections.set(raw, connection);
    connectionOf.set(raw, connection);
    const changed = () => recheckSoon(connection);
    raw.once('close', changed);
  }
  if (connection.top !== top) {
    connection.top = top;
    connectionOf.set(top, connection);
    top.once('close', () => recheckSoon(connection));
  }
  watchParser(connection);
  drainSession(connection);
  recheckSoon(connection);
  return connection;
}

/** For sockets that come from elsewhere: TLS, handed in by hand (`server.emit('connection', …)`), sent by a process. */
function trackAgain(socket) {
  return connectionOf.get(socket) || track(rawOf(socket), socket);
}

/** Node's list of HTTP/1 parsers of a server (18 and later), under a symbol that is not exported. */
function parserListOf(server) {
  for (const symbol of Object.getOwnPropertySymbols(server)) {
    if (symbol.description === 'http.server.connections') return server[symbol];
  }
  return undefined;
}

/**
 * The raw sockets that servers here have accepted, among all that Node has open. To note each one as it comes would cost
 * every new connection something; Node knows them anyway. An app may have unref'd one, which only HTTP's list then has.
 */
function acceptedSockets() {
  const { noDeprecation } = process;
  process.noDeprecation = true; // under --pending-deprecation, it would warn the app of what it does not do
  try {
    return process._getActiveHandles().filter((handle) => handle instanceof net.Socket && handle.server && !isGivenAway(handle));
  } finally {
    process.noDeprecation = noDeprecation;
  }
}

/** Finds what there is when the drain begins. The parsers' list tells whose next message has begun already. */
function trackExisting() {
  const lists = new Set();
  for (const server of servers.live()) lists.add(parserListOf(server));
  for (const raw of quietly(acceptedSockets) || []) track(raw, tlsOver.get(raw) || raw);
  // A server need not listen to have connections; those that others feed show up as a socket's owner.
  for (const { top } of connections.values()) if (top.server) lists.add(parserListOf(top.server));
  for (const list of lists) {
    if (!list) continue;
    for (const { socket } of quietly(() => list.all()) || []) if (socket) trackAgain(socket);
    for (const parser of quietly(() => list.active()) || []) {
      const connection = connectionOf.get(parser.socket);
      // A connection that has never said anything is in this list as well (that is how Node times it out).
      if (connection && parser.socket.bytesRead > 0 && (!parser.incoming || parser.incoming.complete)) {
        connection.begun = true;
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------- HTTP/1 while draining

/**
 * Each response that has not begun says `Connection: close`, unless a further request is known on its connection: then
 * that one's response says it. Three moments make this exact, also for several requests in one segment:
 *
 *  1. A response's headers are made (`_storeHeader`): if no later request is known, they announce the close.
 *  2. A later message begins: if the announcement has not left yet, it is taken back.
 *  3. A handler may answer at once, while Node has yet to parse the rest of the same segment. So what it writes is held
 *     until the segment is parsed, in the place where Node keeps the output of a response that waits for its turn.
 */
function watchHttp1() {
  // All doors ('request', 'checkContinue', 'checkExpectation', 'dropRequest', 417, 400) lie behind this channel, from
  // Node 18 on. Only 'upgrade' and 'connect' do not: there, Node takes the parser away.
  subscribe('http.server.request.start', ({ response, socket }) => onRequest(response, socket));
  subscribe('http.server.response.finish', ({ request, socket }) => onResponseFinish(request, socket));

  const { prototype } = require('http').ServerResponse;
  const storeHeaderOfNode = prototype._storeHeader;
  Object.defineProperty(prototype, '_storeHeader', {
    configurable: true,
    writable: true,
    value: function _storeHeader(firstLine, headers) {
      storeHeaderOfNode.call(this, firstLine, headers);
      quietly(() => announceClose(this));
    },
  });
}

function watchParser({ top: { parser } }) {
  if (parser && parser.constructor) parser[parser.constructor.kOnMessageBegin] = onMessageBegin;
}

// Called by the parser with the first byte of a message.
function onMessageBegin() {
  quietly(() => {
    const connection = connectionOf.get(this.socket);
    if (!connection) return;
    connection.begun = true;
    takeBackClose(connection);
    recheckSoon(connection);
  });
}

function onRequest(response, socket) {
  const connection = trackAgain(socket);
  if (!connection) return;
  connection.begun = false;
  watchParser(connection);
  takeBackClose(connection);
  if (!socket._httpMessage) hold(response);
  recheckSoon(connection);
}

function onResponseFinish(request, socket) {
  const connection = connectionOf.get(socket);
  if (!connection) return;
  recheckSoon(connection);
  if (!request.complete) request.once('close', () => recheckSoon(connection));
}

/** Queues what the response writes in this tick, as Node does for a response that waits behind another one. */
function hold(response) {
  Object.defineProperty(response, '_writeRaw', { configurable: true, writable: true, value: writeHeld });
  process.nextTick(() => quietly(() => {
    delete response._writeRaw;
    const { socket } = response;
    if (response.outputData.length > 0 && socket && socket._httpMessage === response) response._flush();
  }));
}

function writeHeld(data, encoding, callback, size) {
  if (!this._headerSent) {
    // `100 Continue` and its like: they precede the headers, and Node would put the headers before what is queued.
    return Object.getPrototypeOf(this)._writeRaw.call(this, data, encoding, callback, size);
  }
  const withoutEncoding = typeof encoding === 'function';
  this.outputData.push({
    data,
    encoding: withoutEncoding ? null : encoding,
    callback: withoutEncoding ? encoding : callback,
  });
  this.outputSize += data.length;
  this._onPendingData(data.length);
  return this.outputSize < (this.writableHighWaterMark || 16384);
}

function announceClose(response) {
  const { req } = response;
  const connection = req && connectionOf.get(req.socket);
  if (!connection || response.statusCode < 200) return;
  const { parser } = connection.top;
  recheckSoon(connection); // a response has begun: it may be an event stream
  const isLast = parser && !connection.begun && (!parser.incoming || parser.incoming === req);
  if (!isLast) return;
  const open = response._header;
  const closed = withConnectionClose(open);
  if (closed === open) return; // Node or the app closes it, in its own way
  const { _last, shouldKeepAlive } = response;
  connection.closing = { response, open, closed, _last, shouldKeepAlive };
  response._header = closed;
  response._last = true;
  response.shouldKeepAlive = false;
  Object.defineProperty(connection.top, 'destroySoon', { configurable: true, writable: true, value: closePolitely });
  process.nextTick(() => quietly(() => ignoreWhatFollows(connection)));
}

function withConnectionClose(header) {
  const field = /\r\nconnection: *([^\r\n]*)(?=\r\n)/i.exec(header);
  if (!field) return `${header.slice(0, -2)}Connection: close\r\n\r\n`;
  if (!/^keep-alive$/i.test(field[1])) return header;
  return header
    .replace(/\r\nkeep-alive: *[^\r\n]*(?=\r\n)/i, '')
    .replace(/(\r\nconnection: *)keep-alive(?=\r\n)/i, '$1close');
}

function takeBackClose(connection) {
  const { closing } = connection;
  if (!closing || closing.sent) return;
  const { response, open, closed } = closing;
  if (response._headerSent) {
    const held = response.outputData.find(({ data }) => typeof data === 'string' && data.startsWith(closed));
    if (!held) {
      closing.sent = true; // too late: the client has been told
      return;
    }
    held.data = open + held.data.slice(closed.length);
    response.outputSize += open.length - closed.length;
    response._onPendingData(open.length - closed.length);
  }
  response._header = open;
  response._last = closing._last;
  response.shouldKeepAlive = closing.shouldKeepAlive;
  connection.closing = undefined;
  delete connection.top.destroySoon;
}

/**
 * A server that has announced the end must not act on later requests (RFC 9112, 9.6). Node would hand them to the app
 * although it can no longer answer; so nothing is parsed from then on.
 */
function ignoreWhatFollows(connection) {
  const { closing, top } = connection;
  if (!closing || connection.begun || connection.gone || !top.parser) return;
  const { response } = closing;
  if (!response._headerSent || response.outputData.length > 0 || !response.req.complete) return;
  closing.sent = true;
  discardInput(connection);
}

function discardInput(connection) {
  if (connection.discarding) return;
  connection.discarding = true;
  const { top } = connection;
  top.on('data', discard); // Node then feeds its parser by a listener, which can be taken away.
  for (const listener of top.listeners('data')) {
    if (/socketOnData$/.test(listener.name)) top.removeListener('data', listener);
  }
  top.resume();
}

function discard() {}

/**
 * In place of socket.destroySoon() after the last response. Closing with unread bytes in the kernel makes it send a
 * reset, which may wipe out the response on its way; so the connection is half-closed, and read for a while. And an app
 * may answer before it has read the whole request: the close was our wish, so the body is still read to its end.
 */
function closePolitely() {
  const connection = connectionOf.get(this);
  if (!connection || !connection.closing) {
    delete this.destroySoon;
    this.destroySoon();
    return;
  }
  connection.closing.answered = true;
  quietly(() => linger(connection));
  recheckSoon(connection);
}

function linger(connection) {
  const { closing, top } = connection;
  if (!closing || !closing.answered || connection.lingering || connection.gone) return;
  if (!closing.response.req.complete) return; // tried again when it is, by recheck
  discardInput(connection);
  top.end();
  connection.lingering = { since: Date.now(), heardAt: Date.now(), bytes: top.bytesRead };
  lingerers.add(connection);
}

const lingerers = new Set();

function endLingerers() {
  const now = Date.now();
  for (const connection of lingerers) {
    const { lingering, top } = connection;
    if (lingering.bytes !== top.bytesRead || !top.writableFinished) {
      lingering.bytes = top.bytesRead;
      lingering.heardAt = now;
    }
    const over = now - lingering.heardAt >= LINGER_QUIET_MS || now - lingering.since >= LINGER_MAX_MS;
    if (over && !connection.gone) top.destroy();
    if (connection.gone) lingerers.delete(connection);
  }
}

// ---------------------------------------------------------------------------------------------- HTTP/2 while draining

/**
 * The graceful close: a GOAWAY with the last stream that was taken, and the session ends when its streams have. What the
 * client sent after that stream is known to it as refused, and thus safe to send again.
 *
 * Not the two GOAWAYs of RFC 9113, 6.8 (one that refuses nothing, and this after a round trip): with them, 2 of 40 runs
 * under load on Node 18 had requests that were ignored without the client being told; with this, none of 75 had. The
 * likely cause, not proven: Node's client answers the first with a GOAWAY that overtakes its requests, upon which
 * Node's server closes the session by itself.
 */
function drainSession(connection) {
  if (connection.session || connection.top.parser) return;
  const session = sessionOn(connection.top);
  if (!session) return;
  connection.session = session;
  session.on('stream', (stream) => quietly(() => watchStream(connection, stream)));
  for (const stream of streamsOf(session)) watchStream(connection, stream);
  if (quietly(() => session.state.lastProcStreamID) !== 0) {
    closeSession(session);
    return;
  }
  // Its client has just connected, and its first request is on its way: that one is served before the end is announced.
  freshSessions.set(session, Date.now() + FIRST_STREAM_MS);
  session.once('stream', () => process.nextTick(() => quietly(() => closeSession(session))));
}

const freshSessions = new Map(); // those without a stream yet -> when they are closed all the same

function closeSession(session) {
  freshSessions.delete(session);
  if (!session.closed && !session.destroyed) session.close();
}

function closeLateSessions() {
  const now = Date.now();
  for (const [session, at] of freshSessions) if (at <= now) closeSession(session);
}

/**
 * Node keeps the session on its socket: in 18 under a symbol; from 20 on, as the symbol's name changed in one file and
 * not in another, under the name 'undefined'. So it is known by what it can do.
 */
function sessionOn(socket) {
  for (const key of Reflect.ownKeys(socket)) {
    const { value } = Object.getOwnPropertyDescriptor(socket, key);
    if (value && typeof value === 'object' && typeof value.goaway === 'function') return value;
  }
  return undefined;
}

function streamsOf(session) {
  for (const symbol of Object.getOwnPropertySymbols(session)) {
    if (symbol.description !== 'state') continue;
    const { streams } = session[symbol];
    if (streams) return Array.from(streams.values());
  }
  return [];
}

function watchStream(connection, stream) {
  stream.once('close', () => recheckSoon(connection));
  recheckSoon(connection);
}

function kindOfStream(stream) {
  const type = stream.sentHeaders && stream.sentHeaders['content-type'];
  if (/^text\/event-stream/i.test(type)) return 'event_stream';
  const wholeBody = stream.endAfterHeaders || (stream._readableState && stream._readableState.ended);
  return wholeBody ? 'request' : 'upload';
}

// -------------------------------------------------------------------------------------------------------------- UDP

function watchUdp() {
  subscribe('udp.socket', ({ socket }) => {
    udpSockets.add(socket);
    if (draining) stopReceiving(socket);
  });
}

/**
 * A UDP socket has no connections: it only stops to read, so that datagrams go to the workers that share its port. It
 * goes on sending, and Node's `disconnect` closes it. Sockets of the worker's own (clients, say) are left alone: that
 * cluster handed a handle out is seen by the close() it puts on it.
 */
function stopReceiving(socket) {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state = symbol && socket[symbol];
  if (!state || !state.handle) return;
  if (!state.receiving) {
    socket.once('listening', () => quietly(() => state.receiving && stopReceiving(socket)));
  } else if (Object.prototype.hasOwnProperty.call(state.handle, 'close')) {
    state.handle.recvStop();
    state.receiving = false;
  }
}

// --------------------------------------------------------------------------------------------------- drain and report

const NOTHING = KINDS.map(() => 0);
const ONE = Object.fromEntries(KINDS.map((kind) => [kind, KINDS.map((other) => (other === kind ? 1 : 0))]));

const total = [...NOTHING];
const busy = new Set(); // connections that contribute work
const toRecheck = new Set();
let reported; // the last `left`, as text
let reportedWork = 0;
let drainedSaid = false;
let timer;

function drain() {
  draining = true;
  watchWorkerDisconnect();
  watchHttp1();
  watchConnections();
  let listeners = 0;
  for (const server of servers.live()) if (quietly(() => detach(server))) listeners += 1;
  for (const socket of udpSockets.live()) quietly(() => stopReceiving(socket));
  say({ act: 'stopped', listeners });
  quietly(trackExisting);
  timer = setInterval(() => quietly(tick), REPORT_EVERY_MS);
  timer.unref();
  recheckAll();
}

/** What a connection contributes to `left`: one kind, or one per stream of an HTTP/2 session. */
function shareOf(connection) {
  const { raw, top } = connection;
  if (connection.gone) return NOTHING;
  if (connection.lingering) return ONE.idle;
  const { parser } = top;
  if (parser) {
    const { incoming } = parser;
    if (incoming && incoming.upgrade) return ONE.websocket;
    if (top._httpMessage && isEventStream(top._httpMessage)) return ONE.event_stream;
    if (incoming && !incoming.complete && !connection.discarding) return ONE.upload;
    return top._httpMessage || connection.begun ? ONE.request : ONE.idle;
  }
  drainSession(connection);
  if (connection.session) return shareOfSession(connection.session);
  if (parser === null) return ONE.websocket; // it had one: 'upgrade' or 'connect' took the connection over
  const handshakes = raw._server && typeof raw._server.setSecureContext === 'function' && top === raw;
  return handshakes && raw.bytesRead === 0 ? ONE.idle : ONE.unknown;
}

function shareOfSession(session) {
  const streams = streamsOf(session);
  if (streams.length === 0) return ONE.idle;
  const share = [...NOTHING];
  for (const stream of streams) share[KINDS.indexOf(kindOfStream(stream))] += 1;
  return share;
}

function isEventStream(response) {
  return typeof response._header === 'string' && /\r\ncontent-type: *text\/event-stream/i.test(response._header);
}

/** Deferred to the end of the tick: most events come in the middle of a change that Node has not finished. */
function recheckSoon(connection) {
  if (toRecheck.size === 0) process.nextTick(recheckAll);
  toRecheck.add(connection);
}

function recheckAll() {
  for (const connection of [...toRecheck]) quietly(() => recheck(connection));
  toRecheck.clear();
  const work = total.reduce((sum, count) => sum + count, 0) - total[IDLE];
  if (reported === undefined || (work === 0 && reportedWork > 0)) report();
  if (connections.size === 0 && !drainedSaid) {
    report();
    drainedSaid = true;
    clearInterval(timer);
    say({ act: 'drained' });
  }
}

function recheck(connection) {
  ignoreWhatFollows(connection);
  linger(connection);
  const share = shareOf(connection);
  for (let i = 0; i < KINDS.length; i++) total[i] += share[i] - connection.share[i];
  connection.share = share;
  if (share === NOTHING || share === ONE.idle) busy.delete(connection);
  else busy.add(connection);
  if (connection.gone) connections.delete(connection.raw);
}

function report() {
  const kinds = Object.fromEntries(KINDS.map((kind, i) => [kind, total[i]]));
  const text = JSON.stringify(kinds);
  if (text === reported) return;
  reported = text;
  reportedWork = total.reduce((sum, count) => sum + count, 0) - total[IDLE];
  say({ act: 'left', kinds });
}

/** Not every change has an event (a body read to its end, an upgrade); those that work are looked at regularly. */
function tick() {
  endLingerers();
  closeLateSessions();
  for (const connection of busy) toRecheck.add(connection);
  recheckAll();
  if (!drainedSaid) report();
}

// ------------------------------------------------------------------------------------------------------------ load

let counting = false; // from the first `count` on
let accepted = 0; // connections since then
let loadEvery = 0; // how often to report without being asked, in milliseconds; 0: never
let loadTimer; // runs while there may be a change to report, and it is too early
let loadSaid; // the last report: { at, connections, accepted, idle, active }
let loadWaits = false; // it has not been written yet: the primary is behind
let clock; // perf_hooks.performance

/** `count`: reports the load now and, if it is to be every so often, whenever the connections have changed since. */
function count(every) {
  if (!Number.isInteger(every) || every < 0) return;
  if (!counting) {
    counting = true;
    clock = require('perf_hooks').performance;
    loadSaid = { at: 0, connections: 0, accepted: 0, idle: 0, active: 0 };
    quietly(watchConnections);
    quietly(watchClosings);
  }
  loadEvery = Math.min(every, LOAD_EVERY_MAX_MS);
  sayLoad(openConnections());
}

/**
 * A socket that closes has its server look whether that was the last one, after it was subtracted from the server's
 * `_connections` (net, 18 to 26; by destroy(), so whatever the end was). Where it does not, a closing is seen with the
 * next change.
 */
function watchClosings() {
  const lookOfNode = net.Server.prototype._emitCloseIfDrained;
  if (typeof lookOfNode !== 'function') return;
  net.Server.prototype._emitCloseIfDrained = function () {
    lookOfNode.call(this);
    if (loadTimer === undefined) quietly(loadMayHaveChanged);
  };
}

/** `_server` is the one that Node counts it for; HTTP sets `server` to whichever the connection was handed to. */
function countAccepted({ _server }) {
  if (_server && !ofPrimary.has(_server)) return;
  accepted += 1;
  if (loadTimer === undefined) loadMayHaveChanged();
}

/** Ports of the app's own are left out: the primary has no say in who connects to them. */
function openConnections() {
  let open = 0;
  for (const server of servers.live()) {
    if (ofPrimary.has(server) && server._connections > 0) open += server._connections;
  }
  return open;
}

function loadMayHaveChanged() {
  if (loadEvery === 0 || !process.connected) return;
  const wait = loadSaid.at + loadEvery - clock.now();
  if (wait > 0) sayLoadIn(wait);
  else sayLoadIfChanged();
}

function sayLoadIn(ms) {
  loadTimer = setTimeout(() => {
    loadTimer = undefined;
    quietly(sayLoadIfChanged);
  }, Math.ceil(ms));
  loadTimer.unref();
}

function sayLoadIfChanged() {
  if (!process.connected) return;
  const connections = openConnections();
  if (connections === loadSaid.connections && accepted === loadSaid.accepted) return;
  if (loadWaits) sayLoadIn(loadEvery);
  else sayLoad(connections);
}

function sayLoad(connections) {
  clearTimeout(loadTimer);
  loadTimer = undefined;
  const { idle, active } = quietly(() => clock.eventLoopUtilization()) || loadSaid;
  const busy = active - loadSaid.active;
  const perMille = Math.round((1000 * busy) / (busy + idle - loadSaid.idle));
  // Not a number where Node does not tell, or no time has passed.
  const utilization = Number.isNaN(perMille) ? null : Math.min(Math.max(perMille, 0), 1000);
  loadSaid = { at: clock.now(), connections, accepted, idle, active };
  loadWaits = true;
  say({ act: 'load', connections, accepted, utilization }, () => { loadWaits = false; });
}

// Last, when all of the above is defined.
quietly(() => {
  if (isManagedWorker()) start();
});
