// ------------------------------------------------------------------------------------------- whether to act at all

/** Node's version is this one or later. */
function isNode(major, minor = 0) {
  const [ours, oursMinor] = process.versions.node.split('.').map(Number);
  return ours > major || (ours === major && oursMinor >= minor);
}

/**
 * True in the main thread of a Node that is a cluster worker with a channel, the first time. 14.17 is the first with
 * `diagnostics_channel`, without which requests could not be followed.
 */
function isManagedWorker() {
  const { versions } = process;
  if (versions.bun || versions.deno || !isNode(14, 17)) return false;
  if (!process.connected || typeof process.send !== 'function') return false;
  if (!require('worker_threads').isMainThread) return false;
  const cluster = require('cluster');
  if (!cluster.isWorker || !cluster.worker) return false;
  const mark = Symbol.for('relevo.agent');
  if (process[mark]) return false; // a second copy of the file, by another path
  Object.defineProperty(process, mark, { value: PROTOCOL_VERSION });
  return true;
}

/**
 * Children that the app forks inherit process.execArgv; they are not ours. Only this file's own option is removed:
 * `--require <file>`, `-r <file>` or `--require=<file>`.
 */
function leaveExecArgv() {
  const { execArgv } = process;
  for (let i = 0; i < execArgv.length; i++) {
    const arg = execArgv[i];
    if ((arg === '--require' || arg === '-r') && isThisFile(execArgv[i + 1])) {
      execArgv.splice(i, 2);
      return;
    }
    if (arg.startsWith('--require=') && isThisFile(arg.slice('--require='.length))) {
      execArgv.splice(i, 1);
      return;
    }
  }
}

function isThisFile(path) {
  if (!path) return false;
  if (path === __filename || require('path').resolve(path) === __filename) return true;
  return quietly(() => require('fs').realpathSync(path)) === __filename;
}
