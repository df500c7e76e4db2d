'use strict';

/*
 * The agent of Relevo: the one file that runs inside a worker, delivered with `node --require <this file> app.js`.
 *
 * The primary can stop dealing connections to a worker, but only the worker knows which of its connections are in
 * use. The agent answers that, and makes the worker wind down without losing a request (docs/drain.md):
 *
 *     serving ──drain──▶ stopped: no listening handle is left, the servers still think that they listen
 *                           │  `left` whenever the work changes
 *                           ▼
 *                        drained: no connection is left
 *                           │  Node's own `disconnect` (or the app's server.close())
 *                           ▼
 *                        closed: the servers' 'close' events come out
 *
 * Before that it may be *parked* for a while, out of which it can serve again (park.cjs).
 *
 * In whatever state, it reports the worker's load once it has been asked to `count`, and what it answers once it has been
 * asked to `tally`.
 *
 * Rules it lives by:
 *  - Until a drain begins, or answers are to be tallied, nothing runs per request (but for one call before Node 15.7), and
 *    per connection no more than a few calls: what there is, is looked up then.
 *  - Nothing here may throw into the app, keep its process alive, or show up in it where that can be avoided.
 *  - What is read from Node's internals is looked for, never presumed: where it is missing, the connection is counted
 *    as one of less known kind, and nothing else changes.
 *
 * The channel and its messages are described in docs/node-channel.md.
 */

const COMMAND = 'NODE_RELEVO'; // Node hides messages whose `cmd` begins with NODE_ from the app.
const PROTOCOL_VERSION = 1;
const REPORT_EVERY_MS = 250;
const FIRST_STREAM_MS = 2000; // how long a new HTTP/2 session may take to send its first request
const ACKNOWLEDGED_MS = 5000; // how long the client of an HTTP/2 session may take to acknowledge that it ends
const LINGER_QUIET_MS = 2000; // how long a half-closed connection may say nothing before it is destroyed
const LINGER_MAX_MS = 15000; // and how long it may go on saying things that nobody will read
const LOAD_EVERY_MAX_MS = 60000; // the longest time between two reports of the load that may be asked for
const TALLY_EVERY_MAX_MS = 60000; // the same of what it answers

const KINDS = ['request', 'upload', 'event_stream', 'websocket', 'idle', 'idle_tls', 'moving', 'unknown'];
const MOVING = KINDS.indexOf('moving');
const QUIET = ['idle', 'idle_tls', 'moving'].map((kind) => KINDS.indexOf(kind)); // no work

const quietly = (action, argument) => {
  try {
    return action(argument);
  } catch {
    return undefined; // The app matters more than anything that the agent could say about it.
  }
};
