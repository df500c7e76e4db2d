// -------------------------------------------------------------------------------------------------------- handover

/*
 * An idle connection that remembers nothing is given to another worker: its descriptor goes to the primary, and from
 * there on. Bytes that come meanwhile wait in the kernel and travel along (docs/drain.md, "Handover").
 *
 *     idle ──▶ candidate ──credit──▶ in transit ──taken──▶ our copy is destroyed
 *                 │                      │
 *                 └ a byte has come      └──back──▶ stays here
 */

const OFFER_EVERY_MS = 20;
const TRUSTED_MS = 1000; // how long it is believed that the app has left an idle connection alone
const HOPE_MS = 1000; // how long an offer may go unanswered before connections are told to close after all

/** What Node itself puts on a socket that its HTTP server serves, on 18 to 26; anything else is the app's. */
const NODES_NAMES = new Set([
  '_closeAfterHandlingError', '_events', '_eventsCount', '_hadError', '_host', '_httpMessage', '_maxListeners', '_parent',
  '_paused', '_pendingData', '_pendingEncoding', '_readableState', '_server', '_sockname', '_writableState', 'addListener',
  'allowHalfOpen', 'connecting', 'on', 'parser', 'prependListener', 'server', 'setEncoding', 'timeout',
  '_peername', 'destroySoon', '_closed', '_type', '_handle', 'isServer',
]);
const NODES_SYMBOLS = new Set([
  'async_id_symbol', 'kBuffer', 'kBufferCb', 'kBufferGen', 'kBytesRead', 'kBytesWritten', 'kCapture', 'kHandle',
  'kSetKeepAlive', 'kSetKeepAliveInitialDelay', 'kSetNoDelay', 'kSetTOS', 'lastWriteQueueSize', 'shapeMode', 'timeout',
  'kAutoSelectFamilyAttempted', 'kAutoSelectFamilyAttemptedAddresses', 'resource_symbol', 'async_context_frame',
]);

let canHandOver = false; // all that is needed was found in this Node
let handoverMode = 'off'; // of the drain
let unansweredSince; // since when there has been an offer and no credit

const takenLater = new WeakSet(); // accepted sockets that no HTTP server took in the tick in which they were accepted
const kept = new WeakSet(); // what the app wants to keep
const keyOf = new WeakMap(); // server -> its key at the primary
let replyKey; // of the reply to a listen() that is being handled
const doors = new Map(); // key -> { queue, next: the first of it that waits, credit, told }
const transit = new Map(); // number -> { connection, rest: of its timeout, written, guarded, close: what waits for that }
const transitOf = new WeakMap(); // raw socket -> number
let lastNumber = 0;
let offerTimer;
let lastOffer = 0;
let toldNotMovable = '{}';

/** Before 18 there is no list that tells which connections are idle. */
function prepareHandover() {
  if (!ipc || !publishesSockets() || !isNode(18)) return;
  canHandOver = true;
  subscribe('net.server.socket', ({ socket }) => noteTaken(socket));
}

/**
 * Published in the tick of the accept, after the 'connection' listeners have run, for every socket that a server accepts.
 * The exceptions are noted, since a connection that is like all others must cost nothing. Nothing can have been read in
 * that tick; `bytesWritten` would make an array to say what this says.
 */
function noteTaken(socket) {
  if (!socket.parser || socket._bytesDispatched > 0) takenLater.add(socket);
}

/** A reply to listen() is on its way to cluster, which has the server listen at once. */
function noteReply(message) {
  if (message.cmd !== 'NODE_CLUSTER' || message.ack === undefined || typeof message.key !== 'string') return;
  replyKey = message.key;
  process.nextTick(() => { replyKey = undefined; });
}

function beginHandover(mode) {
  if (!canHandOver || !WriteWrap || (mode !== 'auto' && mode !== 'all')) return;
  handoverMode = mode;
}

// ------------------------------------------------------------------------------------------------ what may be moved

/** Why a connection may not be moved, whatever goes on there; undefined if it may. */
function whyNotMovable({ raw, top, session }) {
  if (top !== raw || isTlsServer(raw._server)) return 'tls';
  if (session) return 'http2';
  if (top.parser === null) return 'upgraded';
  if (!top.parser || takenLater.has(raw)) return 'late';
  if (kept.has(raw)) return 'kept';
  if (top._httpMessage && isEventStream(top._httpMessage)) return 'busy_stream';
  const { server } = raw;
  if (!server || server !== raw._server || !keyOf.has(server)) return 'late'; // handed in by hand, not accepted by it
  const list = parserListOf(server);
  if (!list || typeof list.idle !== 'function') return 'unlisted';
  if (server.maxRequestsPerSocket > 0 && !countingRequests) return 'unlisted';
  if (handoverMode !== 'all' && isTouched(raw)) return 'touched';
  return undefined;
}

function isTlsServer(server) {
  return Boolean(server) && typeof server.setSecureContext === 'function';
}

/** Whether the app keeps something on the socket, or reads from it: a login, say, that the next worker knows nothing of. */
function isTouched(raw) {
  for (const key of Reflect.ownKeys(raw)) {
    if (typeof key === 'symbol' ? !NODES_SYMBOLS.has(key.description) : !NODES_NAMES.has(key)) return true;
  }
  const readers = raw.listeners('data');
  return !raw.parser._consumed || raw.listenerCount('readable') > 0 || readers.length > 1;
}

/** Of these connections, those that are idle now, as Node has it. Its list is taken once for each server. */
function idleOnes(candidates) {
  const idle = new Map();
  return candidates.filter(({ raw, top, begun, closing }) => {
    if (raw.destroyed || !raw._handle || top._httpMessage || begun || closing) return false;
    if (raw.writableLength > 0 || raw.readableEnded || transitOf.has(raw)) return false;
    if (raw.bytesRead === 0) return true; // it has never said anything
    if (!idle.has(raw.server)) idle.set(raw.server, new Set(quietly(() => parserListOf(raw.server).idle()) || []));
    return idle.get(raw.server).has(top.parser);
  });
}

// --------------------------------------------------------------------------------------------------- while draining

const toJudge = new Set(); // connections that have become idle

/** May be moved, if it goes on like this. */
function mayMove(connection) {
  return handoverMode !== 'off' && !connection.stays && whyNotMovable(connection) === undefined;
}

function hopeful() {
  return handoverMode !== 'off' && !(Date.now() - unansweredSince > HOPE_MS);
}

function doorOf(key) {
  let door = doors.get(key);
  if (!door) doors.set(key, door = { queue: [], next: 0, credit: 0, told: 0 });
  return door;
}

/** Those that are idle become candidates; where there is credit, they go at once. */
function judgeIdle() {
  if (handoverMode === 'off') return;
  const now = Date.now();
  const ones = [...toJudge].filter((connection) => !connection.candidate && mayMove(connection));
  toJudge.clear();
  for (const connection of idleOnes(ones)) {
    connection.candidate = { bytes: connection.raw.bytesRead, until: now + TRUSTED_MS };
    doorOf(keyOf.get(connection.raw.server)).queue.push(connection);
    recheckSoon(connection);
  }
  for (const [key, door] of doors) handOver(key, door);
  offerSoon();
}

/** As many as there is credit for. Who has got a byte since it became a candidate is no longer one. */
function handOver(key, door) {
  if (door.credit === 0 || waitingIn(door) === 0) return;
  const clock = clockOfTimers();
  const now = Date.now();
  while (door.credit > 0 && waitingIn(door) > 0 && ipc.writeQueueSize === 0) {
    const connection = door.queue[door.next];
    door.next += 1;
    const { candidate } = connection;
    connection.candidate = undefined;
    const still = candidate && connection.raw.bytesRead === candidate.bytes && isQuiet(connection)
      && (now < candidate.until || mayMove(connection));
    if (still && send(connection, key, clock)) door.credit -= 1;
    recheckSoon(connection);
  }
  if (waitingIn(door) === 0) [door.queue, door.next] = [[], 0];
}

function waitingIn(door) {
  return door.queue.length - door.next;
}

function isQuiet({ raw, top, begun, closing }) {
  return !raw.destroyed && raw._handle && !top._httpMessage && !begun && !closing && raw.writableLength === 0
    && !raw.readableEnded && !transitOf.has(raw);
}

function offerSoon() {
  if (offerTimer !== undefined) return;
  const wait = lastOffer + OFFER_EVERY_MS - Date.now();
  if (wait <= 0) {
    offer();
    return;
  }
  offerTimer = setTimeout(() => {
    offerTimer = undefined;
    quietly(offer);
  }, wait);
  offerTimer.unref();
}

function offer() {
  const listeners = {};
  let changed = false;
  let some = false;
  for (const [key, door] of doors) {
    const count = Math.max(0, waitingIn(door) - door.credit);
    if (count > 0) some = true;
    if (count !== door.told) changed = true;
    door.told = count;
    listeners[key] = count;
  }
  unansweredSince = some ? unansweredSince || Date.now() : undefined;
  if (!changed) return;
  lastOffer = Date.now();
  say({ act: 'offer', listeners });
}

/** Tells which of the connections that are left may not be moved, and why. */
function sayNotMovable() {
  if (handoverMode === 'off') return;
  const reasons = {};
  for (const connection of connections.values()) {
    const leaves = connection.gone || connection.candidate || transitOf.has(connection.raw);
    const why = leaves || connection.stays ? undefined : whyNotMovable(connection);
    if (why) reasons[why] = (reasons[why] || 0) + 1;
  }
  const text = JSON.stringify(reasons);
  if (text === toldNotMovable) return;
  toldNotMovable = text;
  say({ act: 'offer', listeners: {}, not_movable: reasons });
}

// ----------------------------------------------------------------------------------------------------- sent, and back

/** Stops reading, and passes the descriptor to the primary. The copy stays open until it is told what became of it. */
function send(connection, key, clock) {
  const { raw } = connection;
  const handle = raw._handle;
  const timer = timerOf(raw);
  const elapsed = timer ? Math.max(0, clock - timer._idleStart) : 0;
  const idle = elapsed + (waiting.get(raw.parser) || 0);
  handle.readStop();
  const number = lastNumber + 1;
  const entry = { connection, rest: timer ? Math.max(1, timer._idleTimeout - elapsed) : 0, written: false, guarded: false, close: undefined };
  const req = new WriteWrap();
  req.oncomplete = () => quietly(() => written(entry, handle));
  const requests = raw.bytesRead === 0 && !requestsOf.has(raw) ? 0 : Math.max(1, requestsOf.get(raw) || 0);
  const message = { cmd: COMMAND, v: PROTOCOL_VERSION, act: 'handover', id: number, key, idle_ms: Math.round(idle), requests };
  if (ipc.writeUtf8String(req, `${JSON.stringify(message)}\n`, handle) !== 0) {
    handle.readStart();
    connection.stays = true;
    return false;
  }
  if (ipc.writeQueueSize > 0) guardClose(entry, handle);
  raw.setTimeout(0);
  lastNumber = number;
  transit.set(number, entry);
  transitOf.set(raw, number);
  return true;
}

/** libuv aborts when a handle is closed that it has yet to send: until then, a close() waits. */
function guardClose(entry, handle) {
  entry.guarded = true;
  Object.defineProperty(handle, 'close', {
    configurable: true,
    writable: true,
    value: function close(...args) {
      if (entry.written) {
        delete handle.close;
        handle.close(...args);
      } else {
        entry.close = args;
      }
    },
  });
}

function written(entry, handle) {
  entry.written = true;
  if (!entry.guarded) return;
  delete handle.close;
  if (entry.close) handle.close(...entry.close);
  for (const [key, door] of doors) handOver(key, door); // the channel was full
}

function onCredit(key, count) {
  if (typeof key !== 'string' || !Number.isInteger(count) || count <= 0) return;
  if (!draining) {
    giveSome(key, count);
    return;
  }
  unansweredSince = undefined;
  const door = doorOf(key);
  door.credit += count;
  door.told = Math.max(0, door.told - count);
  handOver(key, door);
  offerSoon();
}

/** Another worker has them. They are destroyed here, so that whoever in the app counts connections sees them close. */
function onTaken(numbers) {
  if (!Array.isArray(numbers)) return;
  for (const number of numbers) {
    const entry = transit.get(number);
    if (!entry) continue;
    transit.delete(number);
    const { connection } = entry;
    connection.moved = true;
    quietly(() => connection.raw.destroy());
  }
}

/** Nobody wants them. */
function onBack(numbers) {
  if (!Array.isArray(numbers)) return;
  for (const number of numbers) {
    const entry = transit.get(number);
    if (!entry) continue;
    transit.delete(number);
    const { connection, rest } = entry;
    const { raw } = connection;
    transitOf.delete(raw);
    connection.stays = true;
    if (raw.destroyed || !raw._handle) continue;
    raw._handle.readStart();
    if (rest > 0) raw.setTimeout(rest);
    if (draining) recheckSoon(connectionOf.get(raw) || connection);
  }
}

function timerOf(socket) {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'timeout');
  const timer = symbol && socket[symbol];
  return timer && timer._idleTimeout > 0 && Number.isFinite(timer._idleStart) ? timer : undefined;
}

/** The time by the clock that Node's timers go by. */
function clockOfTimers() {
  const timer = setTimeout(() => {}, 1);
  const started = timer._idleStart;
  clearTimeout(timer);
  return started;
}

// ------------------------------------------------------------------------------------------------ while it serves

/** A worker that has more connections than others gives those away that have been idle for longest. */
function giveSome(key, count) {
  let given = 0;
  if (canHandOver && WriteWrap && ipc.writeQueueSize === 0) {
    const ours = (quietly(acceptedSockets) || []).filter((raw) => keyOf.get(raw.server) === key);
    const candidates = ours.map((raw) => new Connection(raw, raw))
      .filter(({ raw }) => raw.bytesRead > 0 || requestsOf.has(raw))
      .filter((connection) => whyNotMovable(connection) === undefined);
    const since = ({ raw }) => (timerOf(raw) ? timerOf(raw)._idleStart : 0);
    const idle = idleOnes(candidates).sort((a, b) => since(a) - since(b));
    const clock = clockOfTimers();
    for (const connection of idle) {
      if (given === count || ipc.writeQueueSize > 0) break;
      if (send(connection, key, clock)) given += 1;
    }
  }
  if (given < count) say({ act: 'offer', listeners: { [key]: 0 }, spent: true });
}
