// ----------------------------------------------------------------------------------------------------------- answers

/*
 * What the worker answers, and how often something goes wrong: a rollout compares its first new worker with the old ones.
 * Nothing is counted, and nothing runs per request, before the primary has asked once.
 */

const tallied = { answered: 0, failed: 0, aborted: 0, uncaught: 0 };
let tallying = false; // from the first `tally` on
let tallyEvery = 0; // how often to report without being asked, in milliseconds; 0: never
let tallyTimer; // runs while there is a change to report, and it is too early
let tallySaidAt = 0;
let tallyWaits = false; // the last report has not been written yet: the primary is behind

/** `tally`: reports the counts now and, if it is to be every so often, whenever they have changed since. */
function tally(every) {
  if (!Number.isInteger(every) || every < 0) return;
  if (!tallying) {
    tallying = true;
    quietly(watchAnswers);
    quietly(watchExceptions);
    for (const server of servers.live()) quietly(() => watchStreamsOf(server));
  }
  tallyEvery = Math.min(every, TALLY_EVERY_MAX_MS);
  sayTally();
}

function countAnswer(what) {
  tallied[what] += 1;
  if (tallyEvery > 0 && tallyTimer === undefined) tallyLater();
}

function tallyLater() {
  const wait = tallySaidAt + tallyEvery - Date.now();
  if (wait <= 0 && !tallyWaits) {
    sayTally();
    return;
  }
  tallyTimer = setTimeout(() => {
    tallyTimer = undefined;
    if (tallyEvery > 0) quietly(tallyLater);
  }, Math.min(Math.max(wait, 1), tallyEvery));
  tallyTimer.unref();
}

function sayTally() {
  clearTimeout(tallyTimer);
  tallyTimer = undefined;
  tallySaidAt = Date.now();
  tallyWaits = true;
  say({ act: 'tally', ...tallied }, () => { tallyWaits = false; });
}

// ---------------------------------------------------------------------------------------------------- what is counted

const answering = new WeakSet(); // sockets whose end is watched

/** HTTP/1. The channels' places are told in watchHttp1. */
function watchAnswers() {
  subscribe('http.server.request.start', ({ socket }) => {
    if (answering.has(socket)) return;
    answering.add(socket);
    socket.once('close', () => quietly(() => countBrokenOff(socket)));
  });
  subscribe('http.server.response.finish', ({ response }) => {
    if (response.statusCode >= 500) tallied.failed += 1;
    countAnswer('answered');
  });
}

/** A response that was under way when its socket was destroyed: by us, unless the client had gone or had said that it is done. */
function countBrokenOff(socket) {
  const response = socket._httpMessage;
  if (!response || response.writableFinished || hasClientGone(socket)) return;
  countAnswer('aborted');
}

const GONE = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'EHOSTUNREACH', 'ENETUNREACH'];

function hasClientGone(socket) {
  const { ended, errored } = socket._readableState;
  const { errored: unsent } = socket._writableState;
  return ended || socket.readableEnded || [errored, unsent].some((error) => error && GONE.includes(error.code));
}

/** It only looks: what becomes of the exception is the app's affair, or Node's. */
function watchExceptions() {
  process.on('uncaughtExceptionMonitor', () => quietly(() => countAnswer('uncaught')));
}

const streamsWatched = new WeakSet();

/** HTTP/2, whose servers have no such channels before 24. */
function watchStreamsOf(server) {
  if (!isHttp2Server(server) || streamsWatched.has(server)) return;
  streamsWatched.add(server);
  server.on('stream', (stream) => quietly(() => {
    stream.once('close', () => quietly(() => countStream(stream)));
  }));
}

function isHttp2Server(server) {
  for (let is = server; is; is = Object.getPrototypeOf(is)) {
    if (is.constructor && /^Http2(Secure)?Server$/.test(is.constructor.name)) return true;
  }
  return false;
}

const NO_ERROR = 0;
const CANCEL = 8;

/** A client cancels by CANCEL; whatever else ends a stream too early comes from this side. */
function countStream({ rstCode, aborted, headersSent, sentHeaders }) {
  if (rstCode === NO_ERROR && headersSent && !aborted) {
    if (sentHeaders && sentHeaders[':status'] >= 500) tallied.failed += 1;
    countAnswer('answered');
  } else if (rstCode !== NO_ERROR && rstCode !== CANCEL) {
    countAnswer('aborted');
  }
}
