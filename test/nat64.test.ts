import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nat64Address, nat64Prefix } from '../dataplane/core/nat64.ts';

test('192.0.2.33 is translated as RFC 6052 2.4 has it, by a prefix that was learned from a name', () => {
  for (const [learned, expected] of [
    ['2001:db8:c000:aa::', '2001:db8:c000:221::'],
    ['2001:db8:1c0:0:aa::', '2001:db8:1c0:2:21::'],
    ['2001:db8:122:c000:0:aa00::', '2001:db8:122:c000:2:2100::'],
    ['2001:db8:122:3c0:0:ab::', '2001:db8:122:3c0:0:221::'],
    ['2001:db8:122:344:c0:0:aa00:0', '2001:db8:122:344:c0:2:2100:0'],
    ['2001:db8:122:344::c000:aa', '2001:db8:122:344::c000:221'],
    ['64:ff9b::192.0.0.170', '64:ff9b::c000:221'],
    ['64:ff9b::c000:ab', '64:ff9b::c000:221'],
  ] as const) {
    const prefix = nat64Prefix(['192.0.0.170', learned]);
    assert.ok(prefix, learned);
    assert.equal(nat64Address(prefix, '192.0.2.33'), expected, learned);
  }
});

test('there is no prefix in addresses that nobody made up, or that can be read in two ways', () => {
  for (const addresses of [
    [],
    ['192.0.0.170', '192.0.0.171'],
    ['2001:db8::1'],
    ['64:ff9b::c000:ac'],
    ['not an address', '::1'],
    ['2001:db8:c000:aa:c0:0:aa00:0', '2001:db8:c000:aa::c000:aa'],
  ]) {
    assert.equal(nat64Prefix(addresses), undefined, String(addresses));
  }
});

test('the first address with a prefix counts', () => {
  const prefix = nat64Prefix(['2001:db8::1', '2001:db8:64::c000:aa', '64:ff9b::c000:aa'])!;
  assert.equal(nat64Address(prefix, '198.51.100.4'), '2001:db8:64::c633:6404');
});

test('private addresses are not translated by the well-known prefix, and are by a network’s own', () => {
  const known = nat64Prefix(['64:ff9b::c000:aa'])!;
  const own = nat64Prefix(['2001:db8:64::c000:aa'])!;
  for (const address of ['10.0.0.1', '172.31.0.1', '192.168.1.1', '100.64.0.1', '127.0.0.1', '169.254.1.1']) {
    assert.equal(nat64Address(known, address), undefined, address);
    assert.notEqual(nat64Address(own, address), undefined, address);
  }
  for (const address of ['9.255.255.255', '172.32.0.1', '192.169.1.1', '100.128.0.1', '8.8.8.8'])
    assert.notEqual(nat64Address(known, address), undefined, address);
});
