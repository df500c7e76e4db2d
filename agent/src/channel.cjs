// --------------------------------------------------------------------------------------------------------- channel

let ipc; // the channel's handle
let WriteWrap; // what Node writes to it by, and to every other stream

/** process.send() would pass one descriptor at a time, and wait for each: so the handle is looked for. */
function prepareChannel() {
  const symbol = Object.getOwnPropertySymbols(process).find(({ description }) => description === 'kChannelHandle');
  const handle = symbol && process[symbol];
  if (!handle || typeof handle.writeUtf8String !== 'function') return;
  ipc = handle;
  // Its class is exported by nobody: it is seen at work, with the next message of ours.
  setOnChannel('writeUtf8String', (req, ...rest) => {
    delete ipc.writeUtf8String;
    WriteWrap = req.constructor;
    return ipc.writeUtf8String(req, ...rest);
  });
}

const TOGETHER_MAX = 32; // lines
const TOGETHER_MS = 2;

let together; // what is to be written together: { text, requests: Node's, which want to be told }

/**
 * Node answers each arrival by two lines, and writes them one by one: during a handover that would be a third of what a
 * worker does. So lines without a descriptor wait for each other for a moment.
 */
function writeTogether() {
  if (together !== undefined || !WriteWrap || ipc.writeQueueSize > 0) return;
  together = { text: '', requests: [] };
  setOnChannel('writeUtf8String', (req, text, handle) => {
    if (handle) {
      writeNow();
      return ipc.writeUtf8String(req, text, handle);
    }
    together.text += text;
    if (together.requests.push(req) >= TOGETHER_MAX) process.nextTick(() => quietly(writeNow));
    return 0;
  });
  // Without them the primary would give to somebody else what is open here.
  setOnChannel('close', (...args) => {
    quietly(writeNow);
    return ipc.close(...args);
  });
  setTimeout(() => quietly(writeNow), TOGETHER_MS);
}

function setOnChannel(name, value) {
  Object.defineProperty(ipc, name, { configurable: true, writable: true, value });
}

function writeNow() {
  if (together === undefined) return;
  const { text, requests } = together;
  together = undefined;
  delete ipc.writeUtf8String;
  delete ipc.close;
  if (requests.length === 0) return;
  // Node waits for those only that it takes for not written yet. Behind it may be the app, which may throw.
  const done = (status) => { for (const one of requests) if (one.oncomplete) process.nextTick(() => one.oncomplete(status)); };
  const req = new WriteWrap();
  req.oncomplete = (status) => quietly(() => done(status));
  const error = ipc.writeUtf8String(req, text);
  if (error !== 0 || ipc.writeQueueSize === 0) done(error);
}

/** A callback is given so that a channel that has ended tells it, instead of raising 'error' on process. */
function say(fields, written = () => {}) {
  if (!process.connected) return;
  quietly(() => {
    sendOfNode.call(process, { cmd: COMMAND, v: PROTOCOL_VERSION, ...fields }, undefined, undefined, written);
  });
}

function onMessage(message, handle) {
  if (message.cmd === COMMAND) {
    onWord(message);
    return;
  }
  noteReply(message);
  noteArrival(message, handle);
  if (message.cmd === 'NODE_CLUSTER' && message.act === 'disconnect') {
    if (draining) quietly(sayShutdown);
    holdDisconnect(message);
  }
}

function onWord(message) {
  switch (message.act) {
    case 'drain': if (!draining) drain(message); break;
    case 'lame_duck': if (!draining) quietly(beLameDuck); break;
    case 'park': park(); break;
    case 'unpark': unpark(); break;
    case 'slot': moveTo(message.slot); break;
    case 'limit_requests': limitRequests(message.n); break;
    case 'ping': pong(); break;
    case 'count': count(message.every_ms); break;
    case 'tally': tally(message.every_ms); break;
    case 'credit': onCredit(message.key, message.n); break;
    case 'taken': onTaken(message.ids); break;
    case 'back': onBack(message.ids); break;
    case 'tickets': onTickets(message.keys); break;
    case 'broadcast': onBroadcast(message.message, message.from); break;
    default: // a newer primary's word
  }
}
