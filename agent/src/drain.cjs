// --------------------------------------------------------------------------------------------------- drain and report

const NOTHING = KINDS.map(() => 0);
const ONE = Object.fromEntries(KINDS.map((kind) => [kind, KINDS.map((other) => (other === kind ? 1 : 0))]));

const total = [...NOTHING];
const busy = new Set(); // connections that contribute work
const toRecheck = new Set();
let reported; // the last `left`, as text
let reportedWork = 0;
let reportedMoving = 0;
let drainedSaid = false;
let lingerMs = Infinity;
let closedIdle = 0; // idle connections that our side closed
let timer;

/**
 * Before a stop: all is served, new connections too, but each response of HTTP/1 says that it is the last on its
 * connection, so that clients and balancers go elsewhere while there still is a choice.
 */
function beLameDuck() {
  if (following) return;
  following = true;
  watchHttp1();
  watchConnections();
  quietly(trackExisting);
  timer = setInterval(() => quietly(endLingerers), REPORT_EVERY_MS);
  timer.unref();
}

function drain(message) {
  draining = true;
  parked = false;
  parkedServers.clear();
  parkedSockets.clear();
  lingerMs = Number.isInteger(message.linger_ms) ? message.linger_ms : Infinity;
  beginHandover(message.handover);
  beginSpread(message.spread_ms);
  runDrainHooks(message.deadline_ms);
  watchWorkerDisconnect();
  clearInterval(timer);
  if (!following) watchHttp1();
  following = true;
  watchConnections();
  let listeners = 0;
  for (const server of servers.live()) if (quietly(() => detach(server))) listeners += 1;
  const udp = [...udpSockets.live(), ...(quietly(unpublishedUdpSockets) || [])];
  for (const socket of udp) quietly(() => stopReceiving(socket));
  say({ act: 'stopped', listeners });
  quietly(trackExisting);
  timer = setInterval(() => quietly(tick), REPORT_EVERY_MS);
  timer.unref();
  for (const connection of connections.values()) toRecheck.add(connection);
  recheckAll();
}

/** What a connection contributes to `left`: one kind, or one per stream of an HTTP/2 session. */
function shareOf(connection) {
  const { raw, top } = connection;
  if (connection.gone) return NOTHING;
  if (transitOf.has(raw)) return ONE.moving;
  const idle = top !== raw || isTlsServer(raw._server) ? ONE.idle_tls : ONE.idle;
  if (connection.lingering) return idle;
  const { parser } = top;
  if (parser) {
    const { incoming } = parser;
    if (incoming && incoming.upgrade) return ONE.websocket;
    if (top._httpMessage && isEventStream(top._httpMessage)) return ONE.event_stream;
    if (incoming && !incoming.complete && !connection.discarding) return ONE.upload;
    if (top._httpMessage || connection.begun) return ONE.request;
    return connection.candidate && hopeful() ? ONE.moving : idle;
  }
  drainSession(connection);
  if (connection.session) return shareOfSession(connection.session, idle);
  if (parser === null) return ONE.websocket; // it had one: 'upgrade' or 'connect' took the connection over
  const handshakes = raw._server && typeof raw._server.setSecureContext === 'function' && top === raw;
  return handshakes && raw.bytesRead === 0 ? idle : ONE.unknown;
}

function shareOfSession(session, idle) {
  const streams = streamsOf(session);
  if (streams.length === 0) return idle;
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
  recheckThose();
  if (!draining) return;
  quietly(judgeIdle);
  quietly(endEventStreams);
  recheckThose();
  const [work, moving] = [workOf(total), total[MOVING]];
  if (reported === undefined || (work === 0 && reportedWork > 0) || (moving === 0 && reportedMoving > 0)) report();
  if (connections.size === 0 && hooksRunning === 0 && !drainedSaid) {
    report();
    drainedSaid = true;
    clearInterval(timer);
    say({ act: 'drained' });
  }
}

function recheckThose() {
  const those = [...toRecheck];
  toRecheck.clear();
  for (const connection of those) quietly(() => recheck(connection));
}

function recheck(connection) {
  ignoreWhatFollows(connection);
  linger(connection);
  if (connection.gone && !draining) connections.delete(connection.raw);
  if (!draining) return;
  const share = shareOf(connection);
  for (let i = 0; i < KINDS.length; i++) total[i] += share[i] - connection.share[i];
  connection.share = share;
  if (share === ONE.idle && !connection.candidate) toJudge.add(connection);
  if (share === ONE.websocket) tellWebSocket(connection);
  if (workOf(share) === 0) busy.delete(connection);
  else busy.add(connection);
  if (connection.gone) connections.delete(connection.raw);
}

function workOf(share) {
  return share.reduce((sum, count, kind) => (QUIET.includes(kind) ? sum : sum + count), 0);
}

/** Our side closed an idle connection: its client may just have sent a request. */
function countClosedIdle({ raw, top, share, moved, ended }) {
  const idle = share === ONE.idle || share === ONE.idle_tls || share === ONE.moving;
  const { errored } = raw._readableState; // a property of the socket itself from 18 on only
  if (draining && idle && !moved && !ended && !raw.readableEnded && !top.readableEnded && !errored) closedIdle += 1;
}

/** Idle connections that outlive what they may, or have no end announced: what is on its way to them may be lost. */
function countNotZero() {
  let count = 0;
  for (const { share, raw, lingering } of connections.values()) {
    if ((share !== ONE.idle && share !== ONE.idle_tls) || lingering) continue;
    const { keepAliveTimeout } = raw.server || {};
    if (!(keepAliveTimeout > 0) || keepAliveTimeout > lingerMs) count += 1;
  }
  return count;
}

function report() {
  quietly(sayNotMovable);
  const kinds = Object.fromEntries(KINDS.map((kind, i) => [kind, total[i]]));
  const left = { kinds, closed_idle: closedIdle, not_zero: quietly(countNotZero) || 0 };
  const text = JSON.stringify(left);
  if (text === reported) return;
  reported = text;
  reportedWork = workOf(total);
  reportedMoving = total[MOVING];
  say({ act: 'left', ...left });
}

/** Not every change has an event (a body read to its end, an upgrade); those that work are looked at regularly. */
function tick() {
  endLingerers();
  closeLateSessions();
  for (const connection of busy) toRecheck.add(connection);
  recheckAll();
  if (!drainedSaid) report();
}
