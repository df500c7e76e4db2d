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
  onArrival(socket);
  if (following) track(socket, socket);
  if (counting) countAccepted(socket);
  if (tellsOfNext) tellOfConnection();
}

/**
 * The channel came in the course of 18 and of 16; on releases that may lack it, a listener does, though the app can see
 * it.
 */
function publishesSockets() {
  return isNode(18, 13) || (isNode(16, 18) && !isNode(17));
}

// Never both: some of those releases publish as well, and a connection would be counted twice.
function watchConnectionsOf(server) {
  if (publishesSockets() || connectionsWatched.has(server)) return;
  connectionsWatched.add(server);
  server.on('connection', (socket) => quietly(() => onAccepted(socket)));
}

function subscribe(name, onPublished) {
  const channels = require('diagnostics_channel');
  const listener = (message) => quietly(onPublished, message); // no closure for each connection
  if (channels.subscribe) channels.subscribe(name, listener);
  else channels.channel(name).subscribe(listener);
}

/** Nothing leads from a raw socket to the TLSSocket over it, so it must be remembered (once per handshake). */
function watchTls(server) {
  if (typeof server.setSecureContext !== 'function' || tlsWatched.has(server)) return;
  tlsWatched.add(server);
  server.on('secureConnection', (socket) => quietly(() => {
    tlsOver.set(rawOf(socket), socket);
    if (following) trackAgain(socket);
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
    this.ended = raw.writableEnded; // its last response has been sent, which has told its client that it is the last
    this.closing = undefined; // HTTP/1: the response that announces the end, see announceClose
    this.discarding = false; // nothing that comes in is parsed any more
    this.lingering = undefined; // half-closed, waiting for the peer: { since, heardAt, bytes }
    this.session = undefined; // HTTP/2
    this.candidate = undefined; // idle, and waits for credit: { bytes }
    this.stays = false; // nobody wanted it
    this.moved = false; // another worker has it
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
    raw.once('close', () => {
      countClosedIdle(connection);
      recheckSoon(connection);
    });
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
  if (!parserLists.has(server)) {
    const symbol = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections');
    if (!symbol) return undefined;
    parserLists.set(server, symbol);
  }
  return server[parserLists.get(server)];
}

const parserLists = new WeakMap(); // server -> that symbol

/**
 * The raw sockets that servers here have accepted, among all that Node has open. To note each one as it comes would cost
 * every new connection something; Node knows them anyway. An app may have unref'd one, which only HTTP's list then has.
 */
function acceptedSockets() {
  return activeHandles().filter((handle) => handle instanceof net.Socket && handle.server && !isGivenAway(handle));
}

function activeHandles() {
  const { noDeprecation } = process;
  process.noDeprecation = true; // under --pending-deprecation, it would warn the app of what it does not do
  try {
    return process._getActiveHandles();
  } finally {
    process.noDeprecation = noDeprecation;
  }
}

/**
 * Before 18 there is no such list, and the parser itself is asked: if the input ended here, would that cut a message?
 * It only answers; for requests, llhttp_finish() changes nothing.
 */
function isAmidMessage(parser) {
  return parser.finish() instanceof Error;
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
      if (connection && parser.socket.bytesRead > 0 && isBetweenRequests(parser)) connection.begun = true;
    }
  }
  if (isNode(18)) return;
  for (const connection of connections.values()) {
    const { parser } = connection.top;
    if (parser && isBetweenRequests(parser)) connection.begun = quietly(() => isAmidMessage(parser)) === true;
  }
}

/** The app has been given no request of which bytes are still to come. */
function isBetweenRequests({ incoming }) {
  return !incoming || incoming.complete;
}
