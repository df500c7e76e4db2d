// What /proc knows of processes. Nothing here fails because a process has gone meanwhile.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK']));

// User and system time of these processes, in seconds, with a resolution of one tick (10 ms).
export function cpuSeconds(pids) {
  return sum(pids, (pid) => {
    const fields = statFields(pid);
    return fields ? (Number(fields[11]) + Number(fields[12])) / ticksPerSecond : 0;
  });
}

// Proportional set size of these processes, in bytes: shared pages count in parts.
export function pssBytes(pids) {
  return sum(pids, (pid) => 1024 * Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '')?.[1] ?? 0));
}

// How often the threads of these processes have gone to sleep of their own will, each to be woken.
export function voluntarySwitches(pids) {
  return sum(pids, (pid) => sum(list(`/proc/${pid}/task`), (thread) =>
    Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(`/proc/${pid}/task/${thread}/status`) ?? '')?.[1] ?? 0)));
}

// The process itself and all that descend from it, parents first.
export function family(root) {
  const childrenOf = new Map();
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name)).map(Number)) {
    const parent = Number(statFields(pid)?.[1]);
    if (!childrenOf.has(parent)) childrenOf.set(parent, []);
    childrenOf.get(parent).push(pid);
  }
  const found = alive(root) ? [root] : [];
  for (let at = 0; at < found.length; at += 1) found.push(...(childrenOf.get(found[at]) ?? []));
  return found;
}

export function executable(pid) {
  try {
    // An executable that was rebuilt meanwhile is marked "(deleted)".
    return path.basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''));
  } catch {
    return null;
  }
}

// A zombie has ended.
export function alive(pid) {
  const state = statFields(pid)?.[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

// The fields of /proc/<pid>/stat from the state on: the name before may hold blanks.
function statFields(pid) {
  const text = read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function list(directory) {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

const sum = (items, of) => items.reduce((total, item) => total + of(item), 0);
