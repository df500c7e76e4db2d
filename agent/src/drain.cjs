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
