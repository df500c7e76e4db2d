// ------------------------------------------------------------------------------------------ what an app can ask for

/*
 * `process[Symbol.for('relevo.worker')]`, of which the npm package relevo-worker is a face.
 */

const MAX_BROADCAST = 64 * 1024; // bytes of JSON

const drainHooks = [];
const broadcastListeners = [];
let hooksRunning = 0;
let shutdownSaid = false;

function offerWorkerApi() {
  const number = (name) => (process.env[name] === undefined ? undefined : Number(process.env[name]));
  const api = {
    version: PROTOCOL_VERSION,
    get slot() { return number('RELEVO_SLOT'); },
    worker: number('RELEVO_WORKER'),
    generation: number('RELEVO_GENERATION'),
    release: process.env.RELEVO_RELEASE,
    ready: () => say({ act: 'ready' }),
    extendReady: (ms) => say({ act: 'extend', ms: needTime(ms, 'extendReady') }),
    onDrain: (hook) => { drainHooks.push(needFunction(hook, 'onDrain')); },
    keep: (socket) => { kept.add(socket); },
    broadcast,
    onBroadcast: (listener) => { broadcastListeners.push(needFunction(listener, 'onBroadcast')); },
  };
  Object.defineProperty(process, Symbol.for('relevo.worker'), { configurable: true, value: Object.freeze(api) });
}

/** A spare worker takes over in another slot than the one that it was started for. */
function moveTo(slot) {
  process.env.RELEVO_SLOT = process.env.NODE_APP_INSTANCE = String(slot);
}

function needFunction(value, name) {
  if (typeof value !== 'function') throw new TypeError(`${name} needs a function, not ${typeof value}`);
  return value;
}

function needTime(value, name) {
  if (!Number.isFinite(value) || value < 0) throw new TypeError(`${name} needs a time in milliseconds, not ${value}`);
  return Math.min(Math.ceil(value), Number.MAX_SAFE_INTEGER);
}

function broadcast(message) {
  const text = JSON.stringify(message);
  if (text === undefined) throw new TypeError('a broadcast must be something that JSON can hold');
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BROADCAST) throw new RangeError(`a broadcast may have ${MAX_BROADCAST} bytes as JSON, and this has ${bytes}`);
  say({ act: 'broadcast', message });
}

/** In a tick of its own, so that what a listener throws is the app's affair, as with any event. */
function onBroadcast(message, from) {
  for (const listener of broadcastListeners) process.nextTick(listener, message, from);
}

/** `drained` waits for them, and no longer than the drain's deadline. */
function runDrainHooks(deadlineMs) {
  for (const hook of drainHooks) {
    hooksRunning += 1;
    const done = () => {
      hooksRunning -= 1;
      recheckAll();
    };
    let result;
    try {
      result = hook({ deadlineMs });
    } catch (error) {
      process.nextTick(() => { throw error; });
    }
    Promise.resolve(result).then(done, (error) => {
      done();
      process.nextTick(() => { throw error; });
    });
  }
}

/** As PM2 and naught tell it, when nothing is left to do and before the servers' 'close' events. */
function sayShutdown() {
  if (shutdownSaid) return; // `disconnect` comes a second time, when the servers are closed
  shutdownSaid = true;
  if (process.listenerCount('message') > 0) process.emit('message', 'shutdown', undefined);
}

// --------------------------------------------------------------------------------------------- TLS session tickets

function onTickets(keys) {
  if (typeof keys !== 'string' || !/^[0-9a-f]{96}$/.test(keys)) return;
  const bytes = Buffer.from(keys, 'hex');
  for (const server of servers.live()) {
    if (isTlsServer(server) && typeof server.setTicketKeys === 'function') quietly(() => server.setTicketKeys(bytes));
  }
}
