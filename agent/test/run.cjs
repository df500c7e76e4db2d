'use strict';

// Runs the agent's tests on every Node there is, with dealt connections and with shared handles.
//
//     node agent/test/run.cjs [path/to/node …]        (or RELEVO_NODES, separated by colons or blanks)

const { spawn, spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');

const here = __dirname;
const modules = path.join(here, '..', '..', 'fixtures', 'node', 'node_modules');

function nodes() {
  if (process.argv.length > 2) return process.argv.slice(2);
  if (process.env.RELEVO_NODES) return process.env.RELEVO_NODES.split(/[\s:]+/).filter(Boolean);
  return fs.readdirSync(modules)
    .filter((name) => /^node\d+$/.test(name))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)))
    .map((name) => path.join(modules, name, 'bin', 'node'))
    .filter((node) => fs.existsSync(node));
}

const files = fs.readdirSync(here).filter((name) => name.endsWith('.test.cjs')).map((name) => path.join(here, name));
const FIRST_WITH_RUNNER = 18;
const versionOf = (node) => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
const hasRunner = (node) => parseInt(versionOf(node).slice(1), 10) >= FIRST_WITH_RUNNER;
const all = nodes().map((node) => path.resolve(node));

/** Both policies at a time: most of a run is waiting. */
async function runOn(node) {
  const version = versionOf(node);
  const runner = hasRunner(node) ? node : all.find(hasRunner);
  const runs = await Promise.all(['rr', 'none'].map(async (policy) => ({ policy, ...await test(runner, node, policy) })));
  return runs.map((run) => report(version, run)).every(Boolean);
}

function test(runner, node, policy) {
  const child = spawn(runner, ['--test', '--test-reporter=tap', ...files], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_CLUSTER_SCHED_POLICY: policy, RELEVO_WORKER_NODE: node },
  });
  const output = { stdout: '', stderr: '' };
  for (const name of Object.keys(output)) child[name].setEncoding('utf8').on('data', (text) => { output[name] += text; });
  return new Promise((resolve) => { child.once('close', (status) => resolve({ status, ...output })); });
}

function report(version, { policy, status, stdout, stderr }) {
  const count = (name) => Number((new RegExp(`^# ${name} (\\d+)`, 'm').exec(stdout) || [0, -1])[1]);
  console.log(`${version} ${policy.padEnd(4)} pass ${count('pass')} fail ${count('fail')}`);
  const passed = status === 0 && count('fail') === 0;
  if (!passed) console.log(stdout, stderr);
  return passed;
}

const LANES = 3;
const left = [...all];

/** Several majors at a time, likewise. */
async function lane() {
  for (let node = left.shift(); node; node = left.shift()) if (!await runOn(node)) process.exitCode = 1;
}

for (let n = 0; n < LANES; n += 1) lane();
