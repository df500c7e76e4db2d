// ------------------------------------------------------------------------------------------------------------ load

let counting = false; // from the first `count` on
let accepted = 0; // connections since then
let loadEvery = 0; // how often to report without being asked, in milliseconds; 0: never
let loadTimer; // runs while there may be a change to report, and it is too early
let loadSaid; // the last report: { at, connections, accepted, idle, active }
let loadWaits = false; // it has not been written yet: the primary is behind
let clock; // perf_hooks.performance

/** `count`: reports the load now and, if it is to be every so often, whenever the connections have changed since. */
function count(every) {
  if (!Number.isInteger(every) || every < 0) return;
  if (!counting) {
    counting = true;
    clock = require('perf_hooks').performance;
    loadSaid = { at: 0, connections: 0, accepted: 0, idle: 0, active: 0 };
    quietly(watchConnections);
    quietly(watchClosings);
  }
  loadEvery = Math.min(every, LOAD_EVERY_MAX_MS);
  sayLoad(openConnections());
}

/**
 * A socket that closes has its server look whether that was the last one, after it was subtracted from the server's
 * `_connections` (net, 18 to 26; by destroy(), so whatever the end was). Where it does not, a closing is seen with the
 * next change.
 */
function watchClosings() {
  const lookOfNode = net.Server.prototype._emitCloseIfDrained;
  if (typeof lookOfNode !== 'function') return;
  net.Server.prototype._emitCloseIfDrained = function () {
    lookOfNode.call(this);
    if (loadTimer === undefined) quietly(loadMayHaveChanged);
  };
}

/** `_server` is the one that Node counts it for; HTTP sets `server` to whichever the connection was handed to. */
function countAccepted({ _server }) {
  if (_server && !ofPrimary.has(_server)) return;
  accepted += 1;
  if (loadTimer === undefined) loadMayHaveChanged();
}

/** Ports of the app's own are left out: the primary has no say in who connects to them. */
function openConnections() {
  let open = 0;
  for (const server of servers.live()) {
    if (ofPrimary.has(server) && server._connections > 0) open += server._connections;
  }
  return open;
}

function loadMayHaveChanged() {
  if (loadEvery === 0 || !process.connected) return;
  const wait = loadSaid.at + loadEvery - clock.now();
  if (wait > 0) sayLoadIn(wait);
  else sayLoadIfChanged();
}

function sayLoadIn(ms) {
  loadTimer = setTimeout(() => {
    loadTimer = undefined;
    quietly(sayLoadIfChanged);
  }, Math.ceil(ms));
  loadTimer.unref();
}

function sayLoadIfChanged() {
  if (!process.connected) return;
  const connections = openConnections();
  if (connections === loadSaid.connections && accepted === loadSaid.accepted) return;
  if (loadWaits) sayLoadIn(loadEvery);
  else sayLoad(connections);
}

function sayLoad(connections) {
  clearTimeout(loadTimer);
  loadTimer = undefined;
  const { idle, active } = quietly(() => clock.eventLoopUtilization()) || loadSaid;
  const busy = active - loadSaid.active;
  const perMille = Math.round((1000 * busy) / (busy + idle - loadSaid.idle));
  // Not a number where Node does not tell, or no time has passed.
  const utilization = Number.isNaN(perMille) ? null : Math.min(Math.max(perMille, 0), 1000);
  loadSaid = { at: clock.now(), connections, accepted, idle, active };
  loadWaits = true;
  say({ act: 'load', connections, accepted, utilization }, () => { loadWaits = false; });
}
