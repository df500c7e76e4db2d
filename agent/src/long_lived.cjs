// ------------------------------------------------------------------------------------ WebSockets and event streams

/*
 * What would never end by itself is told to: WebSockets by the close code 1012 (service restart; IANA's registry of
 * RFC 6455), event streams by their end. Their clients come back, elsewhere; spread over a while, so that they do not all
 * come at once.
 */

const SERVICE_RESTART = 1012;

let spreadUntil = 0;
const told = new WeakSet(); // connections, or streams of HTTP/2, that have been told

function beginSpread(spread) {
  spreadUntil = Date.now() + (Number.isInteger(spread) && spread > 0 ? spread : 0);
}

/** Once for each, at some moment of what is left of the spread. */
function tellOnce(object, tell) {
  if (told.has(object)) return;
  told.add(object);
  const timer = setTimeout(() => quietly(tell), Math.max(0, spreadUntil - Date.now()) * Math.random());
  timer.unref();
}

/** The object of the `ws` library, which keeps it on the socket; Socket.IO's WebSockets are such, too. */
function webSocketOn(socket) {
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    if (symbol.description !== 'websocket') continue;
    const found = socket[symbol];
    if (found && typeof found.close === 'function' && typeof found.send === 'function') return found;
  }
  return undefined;
}

function tellWebSocket(connection) {
  const { raw, top } = connection;
  if (kept.has(top) || kept.has(raw)) return;
  const socket = webSocketOn(top);
  if (socket) tellOnce(connection, () => socket.close(SERVICE_RESTART));
}

/** Only when the ordinary requests are done. */
function endEventStreams() {
  if (total[KINDS.indexOf('event_stream')] === 0) return;
  if (total[KINDS.indexOf('request')] + total[KINDS.indexOf('upload')] > 0) return;
  for (const connection of busy) {
    const { raw, top, session } = connection;
    if (kept.has(raw) || kept.has(top)) continue;
    if (session) {
      for (const stream of streamsOf(session)) {
        if (kindOfStream(stream) === 'event_stream' && !kept.has(stream)) tellOnce(stream, () => stream.end());
      }
    } else if (connection.share === ONE.event_stream) {
      const response = top._httpMessage;
      if (response && !kept.has(response)) tellOnce(response, () => response.end());
    }
  }
}
