'use strict';
// A thin face of what Relevo's agent puts into a worker before the app's own code runs. Without an agent every call
// does nothing, so that an app needs no branch for `node app.js`, for tests, or for another process manager.

const PLACE = Symbol.for('relevo.worker');

/** What the agent offers here; undefined outside of Relevo, in worker threads, and in children of a worker. */
function agent() {
  const offered = process[PLACE];
  // Later versions may offer more, but keep what the first one had.
  return offered !== null && typeof offered === 'object' && offered.version >= 1 ? offered : undefined;
}

/** A mistake in a call is told everywhere, not only where there is an agent. */
function mustBeFunction(name, value) {
  if (typeof value === 'function') return;
  throw new TypeError(`${name} wants a function, not ${value === null ? 'null' : typeof value}`);
}

function ready() {
  const here = agent();
  if (here) here.ready();
}

function extendReady(ms) {
  if (!Number.isFinite(ms) || ms < 0) throw new TypeError(`extendReady wants a time in milliseconds, not ${ms}`);
  const here = agent();
  if (here && typeof here.extendReady === 'function') here.extendReady(ms);
}

function onDrain(listener) {
  mustBeFunction('onDrain', listener);
  const here = agent();
  if (here) here.onDrain(listener);
}

function keep(socket) {
  if (socket === null || typeof socket !== 'object') {
    throw new TypeError(`keep wants a socket, not ${socket === null ? 'null' : typeof socket}`);
  }
  const here = agent();
  if (here) here.keep(socket);
}

function broadcast(message) {
  const here = agent();
  if (here) here.broadcast(message);
}

function onBroadcast(listener) {
  mustBeFunction('onBroadcast', listener);
  const here = agent();
  if (here) here.onBroadcast(listener);
}

/** Read when it is asked for: null where it is not known. */
function known(field) {
  const here = agent();
  const value = here && here[field];
  return value === undefined ? null : value;
}

const worker = Object.freeze({
  get slot() { return known('slot'); },
  get id() { return known('worker'); },
  get generation() { return known('generation'); },
  get release() { return known('release'); },
});

exports.ready = ready;
exports.extendReady = extendReady;
exports.onDrain = onDrain;
exports.keep = keep;
exports.broadcast = broadcast;
exports.onBroadcast = onBroadcast;
exports.worker = worker;
