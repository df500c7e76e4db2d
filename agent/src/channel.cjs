// --------------------------------------------------------------------------------------------------------- channel

/** A callback is given so that a channel that has ended tells it, instead of raising 'error' on process. */
function say(fields, written = () => {}) {
  if (!process.connected) return;
  quietly(() => {
    sendOfNode.call(process, { cmd: COMMAND, v: PROTOCOL_VERSION, ...fields }, undefined, undefined, written);
  });
}

function onMessage(message) {
  if (message.cmd === COMMAND) {
    if (message.act === 'drain' && !draining) drain();
    else if (message.act === 'count') count(message.every_ms);
  } else if (message.cmd === 'NODE_CLUSTER' && message.act === 'disconnect') {
    holdDisconnect(message);
  }
}
