// The load generators. All load goes to 127.0.0.1 and is bounded in time.
import { run } from './children.mjs';

// How ab ends when a peer leaves a connection hanging or refuses it for good.
const gaveUp = /apr_(pollset_poll|socket_\w+)/;

// A connection for each request. Where a peer has two ports the load is split between them; to be
// fair, the same two generators then work on the others too (`generators`).
export async function ab(peer, { requests, concurrency, generators = 1, timeoutMs = 180_000 }) {
  const began = performance.now();
  const parts = await Promise.all(portsFor(peer, generators).map((port) => run('ab', [
    '-q', '-r', '-n', String(Math.round(requests / generators)), '-c', String(Math.round(concurrency / generators)), `http://127.0.0.1:${port}/`,
  ], { timeoutMs })));
  const seconds = (performance.now() - began) / 1000;
  for (const part of parts) {
    if (!part.timedOut && part.code !== 0 && !gaveUp.test(part.stderr)) throw new Error(`ab ended with ${part.code}: ${part.stderr.trim()}`);
  }
  // An ab that gave up says how far it came; one that was killed says nothing, and all it had to do counts as not done.
  const complete = total(parts, /^(?:Complete requests:|Total of)\s+(\d+)/m);
  return {
    complete,
    failed: total(parts, /^Failed requests:\s+(\d+)/m) + (requests - complete),
    perSecond: complete / seconds,
    p50Ms: worst(parts, /^\s+50%\s+(\d+)/m),
    p99Ms: worst(parts, /^\s+99%\s+(\d+)/m),
    longestMs: worst(parts, /^\s+100%\s+(\d+)/m),
  };
}

// The same for some time, of which nothing is noted.
export async function warmUp(peer, { seconds, concurrency }) {
  const { code, stderr } = await run('ab', [
    '-q', '-r', '-t', String(seconds), '-n', '10000000', '-c', String(concurrency), `http://127.0.0.1:${peer.ports[0]}/`,
  ], { timeoutMs: (seconds + 20) * 1000 });
  if (code !== 0) throw new Error(`ab ended with ${code}: ${stderr.trim()}`);
}

// Keep-alive.
export async function wrk(peer, { connections, seconds, generators = 1 }) {
  const parts = await Promise.all(portsFor(peer, generators).map((port) => run('wrk', [
    '-t1', `-c${Math.round(connections / generators)}`, `-d${seconds}s`, `http://127.0.0.1:${port}/`,
  ], { timeoutMs: (seconds + 20) * 1000 })));
  for (const part of parts) {
    if (part.code !== 0) throw new Error(`wrk ended with ${part.code}: ${part.stderr.trim()}`);
  }
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/;
  return {
    perSecond: total(parts, /^Requests\/sec:\s+([\d.]+)/m),
    errors: parts.reduce((sum, part) => sum + (errors.exec(part.stdout)?.slice(1).reduce((a, b) => a + Number(b), 0) ?? 0), 0),
  };
}

const portsFor = (peer, generators) => Array.from({ length: generators }, (_, n) => peer.ports[n % peer.ports.length]);
const found = (part, pattern) => Number(pattern.exec(part.stdout)?.[1] ?? NaN);
const total = (parts, pattern) => parts.reduce((sum, part) => sum + (found(part, pattern) || 0), 0);
const worst = (parts, pattern) => Math.max(...parts.map((part) => found(part, pattern)));
