// --------------------------------------------------------------------------------------------------------- arrivals

/*
 * A connection that another worker gave away comes as one of Node's `newconn` messages, which says so. To Node it is new;
 * but its client has been here before, so it lives for as long as it would have lived (docs/drain.md, "Handover").
 */

let arriving; // what is said of the connection that cluster is about to hand to its server
const requestsOf = new WeakMap(); // raw socket -> how many requests it has had, where somebody counts them
const waiting = new WeakMap(); // parsers of arrivals that have not got a byte yet -> how long they had been idle
const patient = new WeakSet(); // lists of parsers that leave those out
let countingRequests = false;

/** In front of cluster's own listener, which has the connection accepted in this very tick. */
function noteArrival(message, handle) {
  const known = message.cmd === 'NODE_CLUSTER' && message.act === 'newconn' && message.relevo;
  arriving = known && handle ? { handle, idle: Number(known.idle_ms) || 0, requests: Number(known.requests) || 0 } : undefined;
  if (arriving) quietly(writeTogether);
}

/** Published after the server has taken the connection. */
function onArrival(socket) {
  if (!arriving || socket._handle !== arriving.handle) return;
  const { idle, requests } = arriving;
  arriving = undefined;
  const { parser, server } = socket;
  if (requests === 0 || !parser || !server) return; // a new one, that has only waited elsewhere
  requestsOf.set(socket, requests);
  waiting.set(parser, idle);
  socket.once('close', () => waiting.delete(parser));
  leaveOutWaiting(server);
  const { keepAliveTimeout } = server;
  if (keepAliveTimeout > 0) socket.setTimeout(Math.max(1, keepAliveTimeout + bufferOf(server) - idle));
  if (!draining) parser[parser.constructor.kOnMessageBegin] = onFirstByte;
  if (server.maxRequestsPerSocket > 0) countRequests();
}

function onFirstByte() {
  delete this[this.constructor.kOnMessageBegin];
  quietly(() => endWaiting(this));
}

/** Its client has sent a byte: from now on it is like any other. */
function endWaiting(parser) {
  const { socket } = parser;
  if (waiting.delete(parser) && socket && socket.server) socket.setTimeout(socket.server.timeout || 0);
}

/** What Node adds to the announced timeout, since 20. */
function bufferOf(server) {
  if (Number.isFinite(server.keepAliveTimeoutBuffer)) return server.keepAliveTimeoutBuffer;
  return parseInt(process.versions.node, 10) >= 20 ? 1000 : 0;
}

/** Node answers 408 to a client that has sent nothing for headersTimeout, counted from the accept. */
function leaveOutWaiting(server) {
  const list = parserListOf(server);
  if (!list || patient.has(list) || typeof list.expired !== 'function') return;
  patient.add(list);
  Object.defineProperty(list, 'expired', {
    configurable: true,
    writable: true,
    value: function expired(...args) {
      return Object.getPrototypeOf(list).expired.apply(list, args).filter((parser) => !waiting.has(parser));
    },
  });
}

/** Only where a server limits them. */
function countRequests() {
  if (countingRequests) return;
  countingRequests = true;
  subscribe('http.server.request.start', ({ socket, response, server }) => {
    const limit = server && server.maxRequestsPerSocket;
    if (!(limit > 0)) return;
    const count = (requestsOf.get(socket) || 0) + 1;
    requestsOf.set(socket, count);
    // Node counts those that it has seen itself, and sets this after now.
    if (count >= limit) Object.defineProperty(response, 'maxRequestsOnConnectionReached', { get: () => true, set() {} });
  });
}
