// ----------------------------------------------------------------------------------------------------------- pulse

let tellsOfNext = false; // whether the next connection is to be told of

/** `ping`: that it is answered at all shows that the event loop goes round. */
function pong() {
  quietly(watchConnections);
  const connections = openConnections();
  tellsOfNext = connections === 0;
  say({ act: 'pong', connections });
}

/** Whoever had no connection is not asked again before this. */
function tellOfConnection() {
  tellsOfNext = false;
  say({ act: 'pong', connections: Math.max(openConnections(), 1) });
}
