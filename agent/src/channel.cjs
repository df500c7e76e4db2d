// --------------------------------------------------------------------------------------------------------- channel

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
    case 'count': count(message.every_ms); break;
    case 'credit': onCredit(message.key, message.n); break;
    case 'taken': onTaken(message.ids); break;
    case 'back': onBack(message.ids); break;
    case 'tickets': onTickets(message.keys); break;
    case 'broadcast': onBroadcast(message.message, message.from); break;
    default: // a newer primary's word
  }
}
