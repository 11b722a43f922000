import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlConfig } from '../control/config/config.ts';
import { newPeerSections } from '../control/core/peer-settings.ts';
import { linkSettingsOf, ToldSettings } from '../control/link-settings.ts';

test('a section’s addresses stand in place of those of all; what is not wanted is left out', () => {
  const config = { addresses: ['10.0.0.1/32'] } as unknown as ControlConfig;
  const peers = newPeerSections([
    { pattern: 'rome', settings: { interface: 'to-rome' } },
    { pattern: 'r*', settings: { addresses: ['10.0.0.2/32'] } },
    { pattern: 'oslo', settings: { addresses: [] } },
  ]);
  assert.deepEqual(linkSettingsOf(config, peers, 'rome'), {
    addresses: ['10.0.0.2/32'],
    interface: 'to-rome',
  });
  assert.deepEqual(linkSettingsOf(config, peers, 'lima'), { addresses: ['10.0.0.1/32'] });
  assert.deepEqual(linkSettingsOf(config, peers, 'oslo'), {});
  assert.deepEqual(linkSettingsOf(config, undefined, 'oslo'), { addresses: ['10.0.0.1/32'] });
});

test('a dataplane is told once, again after a change, and of links that it had before in any case', () => {
  const told = new ToldSettings();
  assert.ok(!told.isNews('a', {}), 'what nobody wants is no news');
  assert.ok(told.isNews('a', { interface: 'x' }));
  assert.ok(!told.isNews('a', { interface: 'x' }));
  assert.ok(told.isNews('a', {}), 'it has to be taken back');
  assert.ok(!told.isNews('a', {}));
  told.begin(['a', 'b']);
  told.forget('b');
  assert.deepEqual(told.untold, ['a']);
  assert.ok(told.isNews('a', {}));
  assert.deepEqual(told.untold, []);
  assert.ok(!told.isNews('b', {}));
});
