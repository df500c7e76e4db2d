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
  if (!draining || connection.session || connection.top.parser) return;
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
