'use strict';
// With something in the place where the agent puts what it offers: each call reaches it, once, as it is. That the real
// agent does what it says is tested with the real Relevo, in crates/relevo/tests/worker_api.
const assert = require('node:assert');
const { afterEach, beforeEach, test } = require('node:test');

const api = require('..');
const PLACE = Symbol.for('relevo.worker');

let calls;
beforeEach(() => {
  calls = [];
  const record = (name) => (...args) => { calls.push([name, ...args]); };
  const offered = { version: 1, slot: 0, worker: 7, generation: 3, release: '/srv/web/releases/42' };
  for (const name of ['ready', 'extendReady', 'onDrain', 'keep', 'broadcast', 'onBroadcast']) offered[name] = record(name);
  Object.defineProperty(process, PLACE, { configurable: true, value: offered });
});
afterEach(() => { delete process[PLACE]; });

test('each call is passed on as it is', () => {
  const drained = async () => {};
  const heard = () => {};
  const socket = { destroy() {} };
  const message = { room: 'a', text: 'hi' };
  api.ready();
  api.extendReady(5000);
  api.onDrain(drained);
  api.keep(socket);
  api.broadcast(message);
  api.onBroadcast(heard);
  assert.deepStrictEqual(calls, [
    ['ready'], ['extendReady', 5000], ['onDrain', drained], ['keep', socket], ['broadcast', message], ['onBroadcast', heard],
  ]);
});

test('who this is', () => {
  assert.deepStrictEqual({ ...api.worker }, { slot: 0, id: 7, generation: 3, release: '/srv/web/releases/42' });
});

test('nobody can write over who this is', () => {
  assert.throws(() => { api.worker.slot = 1; }, TypeError);
  assert.throws(() => { api.worker.more = 1; }, TypeError);
});

test('what the agent says to a wrong call reaches the caller', () => {
  process[PLACE].broadcast = () => { throw new RangeError('too long'); };
  assert.throws(() => api.broadcast('x'), RangeError);
});

test('a mistake is not passed on', () => {
  assert.throws(() => api.onDrain(undefined), TypeError);
  assert.throws(() => api.keep(undefined), TypeError);
  assert.throws(() => api.extendReady('5s'), TypeError);
  assert.throws(() => api.extendReady(-1), TypeError);
  assert.deepStrictEqual(calls, []);
});

test('an earlier agent cannot extend', () => {
  delete process[PLACE].extendReady;
  api.extendReady(5000);
  assert.deepStrictEqual(calls, []);
});

test('a later version is served as well', () => {
  process[PLACE].version = 2;
  api.ready();
  assert.deepStrictEqual(calls, [['ready']]);
});
