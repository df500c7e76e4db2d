'use strict';
// Without Relevo: everything can be called, and nothing happens.
const assert = require('node:assert');
const { test } = require('node:test');

const api = require('..');

test('every call is a no-op', () => {
  assert.strictEqual(process[Symbol.for('relevo.worker')], undefined);
  assert.strictEqual(api.ready(), undefined);
  assert.strictEqual(api.onDrain(async () => assert.fail('nobody drains')), undefined);
  assert.strictEqual(api.keep({ destroy() {} }), undefined);
  assert.strictEqual(api.broadcast({ to: 'nobody' }), undefined);
  assert.strictEqual(api.onBroadcast(() => assert.fail('nobody sends')), undefined);
});

test('who this is, is not known', () => {
  assert.deepStrictEqual({ ...api.worker }, { slot: null, id: null, generation: null, release: null });
});

test('a mistake is told here too', () => {
  assert.throws(() => api.onDrain('stop'), { name: 'TypeError', message: 'onDrain wants a function, not string' });
  assert.throws(() => api.onBroadcast(null), { name: 'TypeError', message: 'onBroadcast wants a function, not null' });
  assert.throws(() => api.keep(7), { name: 'TypeError', message: 'keep wants a socket, not number' });
});

test('both ways of loading give the same functions', async () => {
  const module = await import('../index.mjs');
  for (const name of Object.keys(api)) assert.strictEqual(module[name], api[name], name);
  assert.deepStrictEqual(Object.keys(module).sort(), [...Object.keys(api), 'default'].sort());
});

test('the package is found by its name, both ways', async () => {
  assert.strictEqual(require('relevo-worker'), api);
  assert.strictEqual((await import('relevo-worker')).default, api);
});

test('what is offered in the place is looked at before it is used', () => {
  for (const offered of [null, 7, {}, { version: 0 }, { version: 'one' }]) {
    Object.defineProperty(process, Symbol.for('relevo.worker'), { configurable: true, value: offered });
    try {
      api.ready();
      assert.strictEqual(api.worker.slot, null);
    } finally {
      delete process[Symbol.for('relevo.worker')];
    }
  }
});
