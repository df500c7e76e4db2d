// -------------------------------------------------------------------------------------------------------------- UDP

function watchUdp() {
  subscribe('udp.socket', ({ socket }) => {
    udpSockets.add(socket);
    if (draining) stopReceiving(socket);
    else if (parked) stopReceiving(socket);
  });
}

/** Those that were not seen because this Node does not publish them: what it has open when the drain begins. */
function unpublishedUdpSockets() {
  if (publishesSockets()) return [];
  const { Socket } = require('dgram');
  return activeHandles().filter((handle) => handle instanceof Socket);
}

/**
 * A UDP socket has no connections: it only stops to read, so that datagrams go to the workers that share its port. It
 * goes on sending, and Node's `disconnect` closes it. Sockets of the worker's own (clients, say) are left alone: that
 * cluster handed a handle out is seen by the close() it puts on it.
 */
function stopReceiving(socket) {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state = symbol && socket[symbol];
  if (!state || !state.handle) return;
  if (!state.receiving) {
    socket.once('listening', () => quietly(() => (draining || parked) && state.receiving && stopReceiving(socket)));
  } else if (Object.prototype.hasOwnProperty.call(state.handle, 'close')) {
    state.handle.recvStop();
    state.receiving = false;
    if (parked) parkedSockets.add(socket);
  }
}

function receiveAgain(socket) {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state = symbol && socket[symbol];
  if (!state || !state.handle || state.receiving) return;
  state.handle.recvStart();
  state.receiving = true;
}
