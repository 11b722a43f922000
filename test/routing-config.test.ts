/** Configurations of routing daemons, of the node that README's status is of. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { routingConfig } from '../cli/commands/routing-config.ts';
import type { StatusReport } from '../protocol/status.ts';
import { exampleFigures, figuresOf } from './figures-example.ts';
import { plain } from './status-example.ts';

const { report } = exampleFigures;

function config(
  daemon: string,
  options: Readonly<Record<string, string | string[]>> = {},
  of: StatusReport = report,
) {
  const given = { args: [daemon], options: { prefix: ['10.20.7.9/16', 'fd20:1::9/16'], ...options } };
  return routingConfig.show(of, given).text(plain);
}

suite('a configuration', () => {
  test('of babeld has an interface for each link, with its cost while packets pass', () => {
    const text = config('babeld');
    assert.match(text, /^interface cnosaka rxcost 572$/m);
    assert.match(text, /^interface cnriga$/m);
    assert.match(
      text,
      /^redistribute local ip 10\.20\.0\.0\/16\nredistribute local ip fd20::\/16\nredistribute local deny$/m,
    );
    assert.match(text, /^in ip fd20::\/16\nin deny$/m);
  });

  test('of babeld has an interface where there is no link yet, without which it would not start', () => {
    assert.match(config('babeld', {}, { ...report, peers: [] }), /^interface lo$/m);
    assert.doesNotMatch(config('babeld'), /^interface lo$/m);
  });

  test('of BIRD covers later peers by a pattern behind those that have a cost', () => {
    const [known, pattern] = [
      'interface "cnlima" { type wired; rxcost 894; };',
      'interface "cn*" { type wired; };',
    ];
    const text = config('bird');
    assert.ok(text.indexOf(known!) > 0 && text.indexOf(known!) < text.indexOf(pattern!), text);
    assert.doesNotMatch(text, /ospf/);
  });

  test('has only the families that are routed', () => {
    for (const text of [
      config('bird', { prefix: 'fd20::/16' }),
      config('bird', { prefix: 'fd20::/16', protocol: 'ospf' }),
    ])
      assert.doesNotMatch(text, /^[^#]*\b(ipv4\b|ospf v2)/m);
    assert.doesNotMatch(config('frr', { prefix: '10.0.0.0/8' }), /ospf6/);
  });

  test('says by which command it was made, with networks in place of addresses', () => {
    assert.match(
      config('frr'),
      /^# Made on berlin by: cryoc routing-config frr --protocol ospf --prefix 10\.20\.0\.0\/16 --prefix fd20::\/16$/m,
    );
  });

  test('names the router by the key of the node, so that it stays and no other has it', () => {
    const id = (identity: string) =>
      /^router id ([\d.]+);$/m.exec(
        config('bird', {}, { ...report, node: { ...report.node, identity } }),
      )![1];
    assert.equal(id('a'), id('a'));
    assert.notEqual(id('a'), id('b'));
  });

  test('leaves out the pattern where interfaces are called otherwise, and interfaces that could say something else', () => {
    const [lima] = report.peers;
    const called = (name: string) =>
      figuresOf([{ ...lima!, interface: { ...lima!.interface!, name } }], []).report;
    assert.doesNotMatch(config('bird', {}, called('tun0')), /\*/);
    assert.doesNotMatch(config('bird', {}, called('x" { }; include "')), /include/);
  });
});

suite('it is refused', () => {
  for (const [what, daemon, options, said] of [
    ['without a prefix', 'bird', { prefix: [] }, /say by --prefix what is routed/],
    ['for what is no prefix', 'bird', { prefix: '10.0.0.0' }, /--prefix takes a network such as/],
    ['for a prefix that is too long', 'bird', { prefix: '10.0.0.0/33' }, /not 10\.0\.0\.0\/33/],
    [
      'for a protocol that the daemon does not have here',
      'babeld',
      { protocol: 'ospf' },
      /there is --protocol babel, not ospf/,
    ],
  ] as const)
    test(what, () => {
      assert.throws(
        () => config(daemon, options as never),
        (error: Error & { code?: string }) => {
          assert.match(error.message, said);
          return error.code === 'bad_config';
        },
      );
    });
});

test('bits behind the length of a prefix are left out', () => {
  for (const [given, written] of [
    ['10.20.255.255/17', '10.20.128.0/17'],
    ['255.255.255.255/0', '0.0.0.0/0'],
    ['fd20:ffff:ffff::1/33', 'fd20:ffff:8000::/33'],
    ['fd20::1/128', 'fd20::1/128'],
  ])
    assert.match(config('babeld', { prefix: given! }), new RegExp(`^in ip ${written}$`, 'm'));
});
