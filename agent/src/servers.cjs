// --------------------------------------------------------------------------------------------------------- servers

/**
 * Every way to listen (subclasses with their own listen(), tools that patch it, cluster handles, exclusive ports, unix
 * sockets, handles) ends in `server._listen2(…)`, called as a method because others wrap it there too; so it has been
 * from Node 0.x to 26. Node calls it at the one moment that counts: the handle is known, and begins to listen.
 */
function watchServers() {
  const listenOfNode = net.Server.prototype._listen2;
  if (typeof listenOfNode !== 'function') throw new Error('no place to notice listening servers'); // hence no hello
  net.Server.prototype._listen2 = function setupListenHandle(address, port, addressType, backlog, fd, flags) {
    if (this._handle) quietly(() => ofPrimary.add(this));
    else wishes.delete(this); // this time it opens a port of its own
    if (typeof backlog === 'number' && backlog > 0) backlogOf.set(this, backlog);
    if (replyKey !== undefined) keyOf.set(this, replyKey);
    if (this.maxRequestsPerSocket > 0) quietly(countRequests);
    // While draining, the primary's handle is given back without ever listening on it; a port of the app's own is
    // opened by Node itself, so it can only be closed right after.
    if (draining && this._handle) quietly(() => detach(this));
    const result = listenOfNode.call(this, address, port, addressType, backlog, fd, flags);
    quietly(() => {
      servers.add(this);
      watchTls(this);
      if (requestsLeft !== undefined) countSessionsOf(this);
      if (tallying) watchStreamsOf(this);
      if (watchingConnections) watchConnectionsOf(this);
      if (draining) detach(this);
      else if (parked) parkServer(this);
    });
    return result;
  };
}

/**
 * Stands in for the listening handle that was closed, so that to the app and to Node nothing has changed yet:
 * `server.listening` stays true and address() answers (health checks!), the last connection's end does not bring out
 * 'close' (apps exit there), and server.close(), whenever it comes, does what it always does, once.
 */
class StandIn {
  constructor(server, handle) {
    this.server = server;
    this.fd = -1;
    if (typeof handle.getsockname === 'function') {
      const name = {};
      handle.getsockname(name);
      // Pipes have no such method, and net.Server#address looks whether it is there.
      this.getsockname = (out) => {
        Object.assign(out, name);
        return 0;
      };
    }
  }

  close() {
    detached.delete(this.server);
  }

  // A server that starts during the drain listens on this at once, in vain.
  listen() {
    return 0;
  }

  fchmod() {
    return 0;
  }

  // The channel keeps the worker alive until `disconnect`; then the servers are closed anyway.
  ref() {}
  unref() {}
  hasRef() {
    return false;
  }
}

/**
 * Closes the listening handle only. http.Server#close would close idle connections (19+; 26: also those whose first
 * request is under way). For both kinds of cluster handles, close() also tells the primary `{act:"close",key}`.
 */
function detach(server) {
  const handle = server._handle;
  if (!handle || handle instanceof StandIn) return false;
  server._handle = new StandIn(server, handle);
  detached.add(server);
  handle.close();
  return true;
}
