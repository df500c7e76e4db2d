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
let following = false; // every connection is known: while draining, and as a lame duck before
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
  rememberRequests();
  quietly(prepareChannel);
  quietly(watchWishes);
  quietly(prepareHandover);
  quietly(offerWorkerApi);
  quietly(watchPrimaryBranch);
  // In front of cluster's own listener: a `disconnect` must find the servers that it no longer knows of.
  process.prependListener('internalMessage', (message, handle) => quietly(() => onMessage(message, handle)));
  if (canHandOver) watchConnections();
  say({ act: 'hello', node: process.version, handover: canHandOver });
}
