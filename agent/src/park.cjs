// ------------------------------------------------------------------------------------------------------------ parked

/*
 * A rollout has replaced this worker, and may yet want it back. It stops accepting, and nothing else: its connections, its
 * WebSockets and the app's own affairs go on, since none of that could be taken back. To serve again it asks the primary
 * for its sockets anew, as it did when it began to listen; the app learns of neither.
 *
 *     serves ──park──▶ parked ──drain──▶ drains, as any other
 *        ▲                │
 *        └────unpark──────┘
 */

let parked = false;
const wishes = new WeakMap(); // server -> what cluster was asked for on its behalf
const backlogOf = new WeakMap(); // server -> what it told its handle to listen with
const parkedServers = new Map(); // server -> { standIn, handle: the one that was closed }
const parkedSockets = new Set(); // UDP sockets that do not read meanwhile

/** `net` asks cluster by this method for every handle of a worker's, from Node 18 to 26. */
function watchWishes() {
  const getServerOfNode = cluster._getServer;
  if (typeof getServerOfNode !== 'function') return;
  cluster._getServer = function _getServer(server, options, ...rest) {
    quietly(() => wishes.set(server, { ...options }));
    return getServerOfNode.call(this, server, options, ...rest);
  };
}

function park() {
  if (parked || draining) return;
  parked = true;
  for (const server of servers.live()) quietly(() => parkServer(server));
  for (const socket of udpSockets.live()) quietly(() => stopReceiving(socket));
  say({ act: 'stopped', listeners: parkedServers.size });
}

/** Only what the primary gave can be had again. */
function parkServer(server) {
  const handle = server._handle;
  if (!handle || !ofPrimary.has(server) || !wishes.has(server)) return;
  if (detach(server)) parkedServers.set(server, { standIn: server._handle, handle });
}

function unpark() {
  if (!parked || draining) return;
  parked = false;
  for (const [server, entry] of parkedServers) quietly(() => listenAgain(server, entry));
  parkedServers.clear();
  for (const socket of parkedSockets) quietly(() => receiveAgain(socket));
  parkedSockets.clear();
}

/**
 * Asks in the name of a stand-in, which tells cluster that the server listens: an event of the server's own would tell
 * the app, too. An app that closed its server meanwhile has taken the stand-in for the handle with it.
 */
function listenAgain(server, { standIn, handle: before }) {
  if (server._handle !== standIn) return;
  const asker = new (require('events'))();
  asker.address = () => server.address();
  for (const name of ['_getServerData', '_setServerData']) {
    if (typeof server[name] === 'function') asker[name] = (...args) => server[name](...args);
  }
  cluster._getServer(asker, wishes.get(server), (error, handle) => quietly(() => {
    if (!handle) return;
    if (error || server._handle !== standIn || draining || parked) {
      handle.close();
      if (parked && server._handle === standIn) parkedServers.set(server, { standIn, handle: before });
      return;
    }
    adopt(server, handle, before);
    asker.emit('listening');
  }));
}

/** What net's setupListenHandle does with a handle. */
function adopt(server, handle, before) {
  handle.onconnection = before.onconnection;
  for (const symbol of Object.getOwnPropertySymbols(before)) {
    if (symbol.description === 'owner_symbol') handle[symbol] = server;
  }
  detached.delete(server);
  server._handle = handle;
  if (replyKey !== undefined) keyOf.set(server, replyKey);
  handle.listen(backlogOf.get(server) || 511);
  if (server._unref) handle.unref();
}
