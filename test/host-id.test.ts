import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { readConfig, TokenAwaited } from '../control/config/config.ts';
import { idOfHost } from '../control/config/host-id.ts';

test('the ID of a host is its name without the domain', () => {
  assert.equal(idOfHost('berlin'), 'berlin');
  assert.equal(idOfHost('berlin.example.net'), 'berlin');
  assert.equal(idOfHost('Node_7-b'), 'Node_7-b');
});

test('what no ID may have becomes a dash, a character each; a long name is cut', () => {
  assert.equal(idOfHost('münchen'), 'm-nchen');
  assert.equal(idOfHost('a b/😀c.d'), 'a-b--c');
  assert.equal(idOfHost('x'.repeat(100)), 'x'.repeat(64));
});

test('nothing left of the first dot is no ID', () => {
  for (const name of ['', '.', '.example.net']) assert.equal(idOfHost(name), undefined);
});

test('whatever the name, what comes of it is an ID that the command line takes, or none', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (name) => {
      const id = idOfHost(name);
      if (id === undefined) assert.match(name, /^(\.|$)/);
      else assert.equal(readConfig(['--token', 't', `--listen=:1`], { ID: id }, 0).id, id);
    }),
  );
});

test('a service without an ID is called as its host; one that is given wins', () => {
  const service = ['--service', '--token', 't'];
  assert.equal(readConfig(service, {}, 0).id, idOfHost(hostname()));
  assert.equal(readConfig(service, { ID: 'given' }, 0).id, 'given');
  assert.throws(
    () => readConfig(['--service'], { CONFIGURATION_DIRECTORY: '/nowhere' }, 0),
    (error) => error instanceof TokenAwaited && error.config.id === idOfHost(hostname()),
  );
});
