// ------------------------------------------------------------------------------------- disconnect, and 'close' events

/**
 * Node's `disconnect` closes the servers in cluster's table, waits for their 'close' and then leaves the channel. Ours
 * are no longer in that table, so the message is set aside, they are closed in the same way, and then it goes on.
 */
function holdDisconnect(message) {
  if (detached.size === 0) return;
  message.act = 'relevo.held';
  cluster.worker.exitedAfterDisconnect = true;
  closeDetached(() => {
    if (process.connected) process.emit('internalMessage', { cmd: 'NODE_CLUSTER', act: 'disconnect' }, undefined);
  });
}

/** The same for cluster.worker.disconnect(), called by the app itself. */
function watchWorkerDisconnect() {
  const { worker } = cluster;
  const disconnectOfNode = worker.disconnect;
  Object.defineProperty(worker, 'disconnect', {
    configurable: true,
    writable: true,
    value: function disconnect() {
      if (detached.size === 0 || this.state === 'disconnecting') return disconnectOfNode.call(this);
      this.exitedAfterDisconnect = true;
      closeDetached(() => disconnectOfNode.call(this));
      return this;
    },
  });
}

function closeDetached(done) {
  let waiting = 1;
  const closed = () => {
    waiting -= 1;
    if (waiting === 0) quietly(done);
  };
  for (const server of [...detached]) {
    waiting += 1;
    server.once('close', closed);
    // As cluster does it: the method that the app sees, with whatever it or a library put there.
    quietly(() => server.close());
    if (server._handle instanceof StandIn) quietly(() => net.Server.prototype.close.call(server));
  }
  closed();
}
