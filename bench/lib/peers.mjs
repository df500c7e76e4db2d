// The peers: how each is started, reloaded and ended, and which of its processes serve.
//
// A started peer is
//   ports                    where it serves; bare node has one for each process
//   primaries(), workers()   pids at this moment; bare node has no primary
//   reloadCommand            for a shell, waits until it is done; absent likewise
//   reload()                 resolves to true if the peer says that it worked; absent where there is no such thing
//   status(), scale(n)       Relevo's alone
//   stop()
//
// What it is started with can be given as a shape: { workers, app, env, stdout }, each with the usual where left out.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { own, run, temporaryDirectory, until } from './children.mjs';
import { get } from './http.mjs';
import { configuration, writeScripts } from './nginx.mjs';
import { executable, family } from './proc.mjs';

export const workers = 2;

const bench = fileURLToPath(new URL('..', import.meta.url));
const usual = { workers, app: 'app.cjs', env: {}, stdout: 'pipe' };
const pm2Script = path.join(bench, 'node_modules', 'pm2', 'bin', 'pm2');
const nginx = '/usr/sbin/nginx';
const reloadTimeoutMs = 60_000;

export const peers = {
  'bare': startBare,
  'bare-one-port': startBareOnOnePort,
  'cluster': (tools, shape) => startCluster(tools, shape, 'rr'),
  'cluster-none': (tools, shape) => startCluster(tools, shape, 'none'),
  'pm2': startPm2,
  'nginx': startNginx,
  'relevo-auto': (tools, shape) => startRelevo(tools, shape, 'auto'),
  'relevo-kernel': (tools, shape) => startRelevo(tools, shape, 'kernel'),
  'relevo-round-robin': (tools, shape) => startRelevo(tools, shape, 'round-robin'),
  'relevo-standby': (tools, shape) => startRelevo(tools, shape, 'auto', ['--standby', '1']),
};

export const titles = {
  'bare': 'bare node, one port each',
  'bare-one-port': 'bare node, one port (reusePort)',
  'cluster': 'cluster, round robin',
  'cluster-none': 'cluster, SCHED_NONE',
  'pm2': 'PM2',
  'nginx': 'nginx and an instance for each CPU',
  'relevo-auto': 'relevo --balance auto',
  'relevo-kernel': 'relevo --balance kernel',
  'relevo-round-robin': 'relevo --balance round-robin',
  'relevo-standby': 'relevo --standby 1',
};

export const isRelevo = (name) => name.startsWith('relevo-');

// Why this peer cannot be run, or null.
export function missing(name, tools) {
  if (isRelevo(name) && !existsSync(tools.relevo)) return `no ${tools.relevo}: run cargo build --release`;
  if (name === 'pm2' && !existsSync(pm2Script)) return 'no bench/node_modules/pm2: run npm ci in bench/';
  if (name === 'nginx' && !existsSync(nginx)) return `no ${nginx}: install the package nginx-light`;
  return null;
}

export async function version(name, tools) {
  if (name === 'pm2') return JSON.parse(readFileSync(path.join(path.dirname(pm2Script), '..', 'package.json'), 'utf8')).version;
  if (name === 'nginx') return (await run(nginx, ['-v'], { timeoutMs: 5000 })).stderr.trim().replace(/^.*\//, '');
  if (isRelevo(name)) return (await run(tools.relevo, ['--version'], { timeoutMs: 5000 })).stdout.trim();
  return (await run(tools.node, ['--version'], { timeoutMs: 5000 })).stdout.trim();
}

// Starts a peer and waits until each of its workers has answered a request.
export async function start(name, tools, shape) {
  const peer = await launch(name, tools, shape);
  try {
    await everyWorkerAnswers(peer, shape?.workers ?? workers);
  } catch (error) {
    const words = peer.output().trim().split('\n').slice(-5).join('\n');
    await peer.stop();
    throw new Error(`${name}: ${error.message}\n${words}`);
  }
  return peer;
}

// Starts a peer and returns at once.
export function launch(name, tools, shape) {
  const { app, env, ...rest } = { ...usual, ...shape };
  return peers[name](tools, { ...rest, app: path.join(bench, app), env: { ...process.env, ...env } });
}

async function startBare({ node }, { workers, app, env, stdout }) {
  const ports = [];
  while (ports.length < workers) ports.push(await freePort());
  return bare(ports, ports.map((port) => supervise(node, [app], { ...env, PORT: port }, stdout)));
}

// What the kernel's choice among the sockets of one port costs by itself, with nobody in charge of them.
async function startBareOnOnePort({ node }, { workers, app, env, stdout }) {
  const port = await freePort();
  const one = () => supervise(node, [app], { ...env, PORT: port, REUSE_PORT: '1' }, stdout);
  return bare([port], Array.from({ length: workers }, one));
}

function bare(ports, children) {
  return {
    ports,
    primaries: () => [],
    workers: () => children.map((child) => child.pid),
    output: () => children.map((child) => child.output()).join(''),
    stop: () => Promise.all(children.map((child) => child.end())),
  };
}

async function startCluster({ node }, { workers, app, env, stdout }, policy) {
  const port = await freePort();
  const child = supervise(node, [path.join(bench, 'cluster-primary.cjs')], { ...env, PORT: port, APP: app, WORKERS: workers, POLICY: policy }, stdout);
  return {
    ports: [port],
    primaries: () => [child.pid],
    workers: () => family(child.pid).slice(1),
    output: child.output,
    // It has no way to say that it is done; two workers take less than a second.
    reloadCommand: `kill -USR2 ${child.pid} && sleep 2`,
    reload: () => {
      const before = count(child.output(), 'reloaded');
      process.kill(child.pid, 'SIGUSR2');
      return until(() => count(child.output(), 'reloaded') > before, reloadTimeoutMs);
    },
    stop: child.end,
  };
}

async function startPm2({ node }, { workers, app, env: given }) {
  const port = await freePort();
  const { directory: home, remove } = temporaryDirectory('relevo-bench-pm2-');
  const env = {
    ...given,
    PORT: port,
    PM2_HOME: home,
    PM2_DISABLE_VERSION_CHECK: 'true',
    // The daemon is started with the first `node` of PATH, whatever runs the command.
    PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH}`,
  };
  const pm2 = (...args) => run(node, [pm2Script, ...args], { env, timeoutMs: reloadTimeoutMs });
  const daemon = () => {
    try {
      return [Number(readFileSync(path.join(home, 'pm2.pid'), 'utf8'))];
    } catch {
      return [];
    }
  };
  const end = own(daemon);
  const started = pm2('start', app, '-i', String(workers), '--name', 'bench', '--silent');
  let words = '';
  started.then(({ stdout, stderr }) => { words = stdout + stderr; }, (error) => { words = error.message; });
  return {
    ports: [port],
    primaries: daemon,
    workers: () => daemon().flatMap((pid) => family(pid).slice(1)),
    output: () => words,
    reloadCommand: `PM2_HOME='${home}' PM2_DISABLE_VERSION_CHECK=true '${node}' '${pm2Script}' reload bench --silent`,
    reload: async () => (await pm2('reload', 'bench', '--silent')).code === 0,
    stop: async () => {
      await started.catch(() => {});
      await end();
      remove();
    },
  };
}

async function startNginx({ node }, { workers, app, env, stdout }) {
  const port = await freePort();
  const upstreams = [];
  while (upstreams.length < workers) upstreams.push(await freePort());
  const { directory, remove } = temporaryDirectory('relevo-bench-nginx-');
  const file = path.join(directory, 'nginx.conf');
  writeFileSync(file, configuration(directory, port, upstreams));
  const { keep, restart } = writeScripts(directory, { node, app, upstreams });
  const instances = keep.map((script) => supervise('bash', [script], env, stdout));
  const front = supervise(nginx, ['-c', file, '-e', path.join(directory, 'error.log')], env, stdout);
  return {
    ports: [port],
    primaries: () => family(front.pid),
    workers: () => instances.flatMap(({ pid }) => family(pid).slice(1)),
    output: () => front.output() + instances.map((instance) => instance.output()).join(''),
    reloadCommand: `bash '${restart}'`,
    stop: async () => {
      await Promise.all([front, ...instances].map((child) => child.end()));
      remove();
    },
  };
}

async function startRelevo({ node, relevo }, { workers, app, env: given, stdout }, balance, more = []) {
  const port = await freePort();
  const { directory: runtime, remove } = temporaryDirectory('relevo-bench-');
  const name = `bench-${port}`;
  const env = {
    ...given,
    PORT: port,
    RELEVO_RUNTIME_DIR: runtime,
    PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH}`,
  };
  const child = supervise(relevo, ['run', '--name', name, '--workers', String(workers), '--balance', balance, ...more, app], env, stdout);
  const mine = (pid) => executable(pid) === path.basename(relevo);
  return {
    ports: [port],
    // All of Relevo's own processes, however many it has.
    primaries: () => family(child.pid).filter(mine),
    workers: () => family(child.pid).filter((pid) => !mine(pid)),
    output: child.output,
    reloadCommand: `RELEVO_RUNTIME_DIR='${runtime}' '${relevo}' reload ${name}`,
    reload: async () => (await run(relevo, ['reload', name], { env, timeoutMs: reloadTimeoutMs })).code === 0,
    status: async () => JSON.parse((await run(relevo, ['status', name, '--json'], { env, timeoutMs: 5000 })).stdout),
    // Accepted, or not; it does not wait for the end.
    scale: async (to) => (await run(relevo, ['scale', name, String(to), '--no-wait'], { env, timeoutMs: 5000 })).code === 0,
    stop: async () => {
      await child.end();
      remove();
    },
  };
}

// A child whose last output is kept for error messages.
function supervise(command, args, env, stdout) {
  // In a session of its own, as under a service manager: the kernel shares CPUs out by session (sched(7), autogroup),
  // and who shared one with the load would be scheduled otherwise than the rest.
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', stdout, 'pipe'] });
  let output = '';
  child.on('error', (error) => { output += error.message; });
  for (const stream of [child.stdout, child.stderr].filter(Boolean)) {
    stream.on('data', (chunk) => { output = (output + chunk).slice(-100_000); });
  }
  const end = own(() => (child.pid && child.exitCode === null && child.signalCode === null ? [child.pid] : []));
  return { pid: child.pid, output: () => output, end };
}

async function everyWorkerAnswers(peer, workers) {
  const seen = new Set();
  const deadline = performance.now() + 20_000;
  for (let attempt = 0; seen.size < workers; attempt += 1) {
    if (performance.now() > deadline) throw new Error(`only ${seen.size} of ${workers} workers answered within 20 s`);
    try {
      const { headers } = await get(peer.ports[attempt % peer.ports.length]);
      seen.add(headers['x-pid']);
    } catch {
      await until(() => false, 20);
    }
  }
}

let lastPort = 17_000 + (process.pid % 1000) * 10;

// Below the kernel's ephemeral ports, so that a load generator's own end is never in the way.
async function freePort() {
  for (;;) {
    lastPort = lastPort >= 32_000 ? 17_000 : lastPort + 1;
    const free = await new Promise((resolve) => {
      const probe = net.createServer().once('error', () => resolve(false));
      probe.listen(lastPort, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return lastPort;
  }
}

const count = (text, word) => text.split(word).length - 1;
