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
  // Node 14.17 on. Only 'upgrade' and 'connect' do not: there, Node takes the parser away.
  subscribe('http.server.request.start', ({ response, socket }) => onRequest(response, socket));
  subscribe('http.server.response.finish', ({ request, response, socket }) => onResponseFinish(request, response, socket));

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

/**
 * Before 15.7, nothing leads from a response to its request, and one that has begun before the drain must be known to be
 * the last of its connection or not. So there, and only there, something runs per request from the start.
 */
function rememberRequests() {
  if (isNode(15, 7)) return;
  subscribe('http.server.request.start', ({ request, response }) => requestOfResponse.set(response, request));
}

const requestOfResponse = new WeakMap();

function requestOf(response) {
  return response.req || requestOfResponse.get(response);
}

function watchParser({ top: { parser } }) {
  if (parser && parser.constructor) parser[parser.constructor.kOnMessageBegin] = onMessageBegin;
}

// Called by the parser with the first byte of a message.
function onMessageBegin() {
  quietly(() => {
    endWaiting(this);
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

function onResponseFinish(request, response, socket) {
  const connection = connectionOf.get(socket);
  if (!connection) return;
  if (response._last) connection.ended = true;
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
  const req = requestOf(response);
  const connection = req && connectionOf.get(req.socket);
  if (!connection || response.statusCode < 200) return;
  const { parser } = connection.top;
  recheckSoon(connection); // a response has begun: it may be an event stream
  const isLast = parser && !connection.begun && (!parser.incoming || parser.incoming === req);
  if (!isLast || (hopeful() && mayMove(connection))) return;
  const open = response._header;
  const closed = withConnectionClose(open);
  if (closed === open) return; // Node or the app closes it, in its own way
  const { _last, shouldKeepAlive } = response;
  connection.closing = { response, req, open, closed, _last, shouldKeepAlive };
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
  const { response, req } = closing;
  if (!response._headerSent || response.outputData.length > 0 || !req.complete) return;
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
  if (!closing.req.complete) return; // tried again when it is, by recheck
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
