// ---------------------------------------------------------------------------------------------- HTTP/2 while draining

/**
 * The graceful close of RFC 9113, 6.8. In clear text, that is two GOAWAYs: the first refuses nothing and only asks for no
 * more streams; when an acknowledged PING shows that the client has read it, the second names the last stream that was
 * taken. Whatever the client sends in between is served. The session ends when its streams have.
 *
 * Over TLS there is the second alone, see `sendNotice`. What the client sent after that stream is known to it as refused,
 * and thus safe to send again.
 */
function drainSession(connection) {
  if (!draining || connection.session || connection.top.parser) return;
  const session = sessionOn(connection.top);
  if (!session) return;
  connection.session = session;
  closeAtLast(connection);
  session.on('stream', (stream) => quietly(() => watchStream(connection, stream)));
  for (const stream of streamsOf(session)) watchStream(connection, stream);
  if (quietly(() => session.state.lastProcStreamID) !== 0) {
    windDown(connection);
    return;
  }
  // Its client has just connected, and its first request is on its way: that one is served before the end is announced.
  closeAt.set(session, Date.now() + FIRST_STREAM_MS);
  session.once('stream', () => process.nextTick(() => quietly(() => windDown(connection))));
}

const closeAt = new Map(); // sessions that wait for a first stream or an acknowledgement -> when they are closed all the same

function windDown({ session, raw, top }) {
  const noticed = top === raw && !session.closed && !session.destroyed && quietly(() => sendNotice(raw));
  if (!noticed || !quietly(() => session.ping(() => quietly(() => closeSession(session))))) {
    closeSession(session);
    return;
  }
  closeAt.set(session, Date.now() + ACKNOWLEDGED_MS);
}

const NOTICE = Buffer.from('0000080700000000007fffffff00000000', 'hex'); // GOAWAY, last stream 2^31-1, NO_ERROR

/**
 * Written past the session: nghttp2, once it has sent a GOAWAY of `session.goaway()`, whichever stream that names, ignores
 * every new stream and reads no more when none is open; and what it has for this, nghttp2_submit_shutdown_notice(), Node
 * does not offer. The session writes whole frames only, and libuv keeps the order, so that this comes between two. A
 * TLSSocket's handle aborts the process when two write to it at a time; there, it cannot be done.
 */
function sendNotice(raw) {
  const handle = raw._handle;
  if (!WriteWrap || !handle || typeof handle.writeBuffer !== 'function') return false;
  const req = new WriteWrap();
  req.oncomplete = () => {};
  return handle.writeBuffer(req, NOTICE) === 0;
}

function closeSession(session) {
  closeAt.delete(session);
  if (!session.closed && !session.destroyed) session.close();
}

const SETTLING_MS = 25;

/**
 * Node's close() destroys the session with its last stream, and a stream counts as closed when its end has been handed to
 * nghttp2. Up to some release of 20, whatever has not been written by then is lost: the last frames of the last responses.
 * So in place of close() the GOAWAY alone is sent, and it comes when no stream has been open and nothing has waited to be
 * written for a while. Node calls it, too, when the client says GOAWAY.
 */
function closeAtLast({ session, raw }) {
  const closeOfNode = session.close;
  let quietAtLast = 0; // how many times in a row nothing was left to do
  let timer;
  const look = () => {
    const { writeQueueSize } = raw._handle || {};
    quietAtLast = streamsOf(session).length > 0 || writeQueueSize > 0 ? 0 : quietAtLast + 1;
    if (quietAtLast < 2 && !session.destroyed) return;
    clearInterval(timer);
    delete session.close;
    if (!session.destroyed) closeOfNode.call(session);
  };
  const close = function close(callback) {
    if (typeof callback === 'function') this.once('close', callback);
    if (timer !== undefined || this.closed || this.destroyed) return;
    timer = setInterval(() => quietly(look), SETTLING_MS);
    timer.unref();
    this.goaway();
  };
  Object.defineProperty(session, 'close', { configurable: true, writable: true, value: close });
}

function closeLateSessions() {
  const now = Date.now();
  for (const [session, at] of closeAt) if (at <= now) closeSession(session);
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
