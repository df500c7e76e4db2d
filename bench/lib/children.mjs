// Every process and directory that the benchmark makes, so that none is left behind: not after a failure, not
// after Ctrl-C. Processes are ended by pid, with all that descend from them.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { alive, family } from './proc.mjs';

// Functions that name the root processes still to be ended.
const sources = new Set();
const directories = new Set();

// `pids` is asked when it is time to end them: a daemon's pid may be known late. Returns a
// function that ends them now.
export function own(pids) {
  sources.add(pids);
  return async function end({ graceMs = 5000 } = {}) {
    const all = pids().flatMap(family);
    signal(pids(), 'SIGTERM');
    await until(() => !all.some(alive), graceMs);
    signal(all, 'SIGKILL');
    await until(() => !all.some(alive), 2000);
    sources.delete(pids);
  };
}

// Runs a command to its end, in a session of its own (as the peers have: see `supervise`); past `timeoutMs` it is killed and `timedOut` is true.
export async function run(command, args, { timeoutMs, env = process.env } = {}) {
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const pids = () => (child.pid && child.exitCode === null ? [child.pid] : []);
  sources.add(pids);
  let stdout = '';
  let stderr = '';
  let timedOut = false;
  child.stdout.on('data', (chunk) => { stdout += chunk; });
  child.stderr.on('data', (chunk) => { stderr += chunk; });
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  try {
    // 'exit' and not 'close': a daemon that it left behind may hold our pipes.
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status, signalName) => setTimeout(() => resolve(status ?? signalName), 20));
    });
    return { code, stdout, stderr, timedOut };
  } finally {
    clearTimeout(timer);
    sources.delete(pids);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

// A directory for a peer's files, gone at the end in any case.
export function temporaryDirectory(prefix) {
  const directory = mkdtempSync(path.join(os.tmpdir(), prefix));
  directories.add(directory);
  return {
    directory,
    remove() {
      rmSync(directory, { recursive: true, force: true });
      directories.delete(directory);
    },
  };
}

// Waits until `condition` holds; false when `timeoutMs` has passed before.
export async function until(condition, timeoutMs) {
  const deadline = performance.now() + timeoutMs;
  while (!await condition()) {
    if (performance.now() > deadline) return false;
    await pause(20);
  }
  return true;
}

function signal(pids, name) {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
}

process.on('exit', () => {
  for (const pids of sources) signal(pids().flatMap(family), 'SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(name, () => process.exit(130));
}
