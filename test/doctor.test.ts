/** `cryoc doctor`: what it says of a machine, by machines in memory. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Ask } from '../cli/command.ts';
import type { Finding } from '../cli/local/checks/finding.ts';
import { doctor, lookedAt } from '../cli/local/doctor.ts';
import { type Machine, type Ran, thisMachine } from '../cli/local/machine.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { StatusReport } from '../protocol/status.ts';
import { version } from '../protocol/version.ts';
import { exampleReport, plain } from './status-example.ts';

/** A healthy machine, but for `files` and what programs print. */
function machineOf(changes: {
  readonly files?: Readonly<Record<string, string | undefined>>;
  readonly programs?: Readonly<Record<string, Ran>>;
  readonly rest?: Partial<Machine>;
}): Machine {
  const files: Readonly<Record<string, string | undefined>> = {
    '/proc/4117/status': 'Name:\tcryonet\nCapEff:\t0000000000003400\n',
    '/proc/self/status': 'CapEff:\t0000000000000000\n',
    '/proc/sys/net/ipv4/conf/all/rp_filter': '0\n',
    '/proc/sys/net/ipv4/conf/cnosaka/rp_filter': '0\n',
    '/proc/sys/net/ipv4/ip_forward': '0\n',
    '/proc/sys/net/ipv6/conf/all/forwarding': '1\n',
    '/proc/sys/net/ipv6/conf/all/disable_ipv6': '0\n',
    ...changes.files,
  };
  const programs: Readonly<Record<string, Ran>> = {
    timedatectl: { out: 'yes\n' },
    nft: { out: JSON.stringify({ nftables: [{ metainfo: {} }] }) },
    nmcli: { out: 'eth0:connected\ncnosaka:unmanaged\n' },
    ...changes.programs,
  };
  return {
    isRoot: true,
    release: '6.12.1-amd64',
    read: (path) => {
      const text = files[path];
      return text === undefined ? { lacks: 'ENOENT' } : { text };
    },
    list: (path) => {
      const inside = Object.keys(files).filter((file) => file.startsWith(`${path}/`));
      return inside.length === 0
        ? undefined
        : inside.map((file) => file.slice(path.length + 1).split('/')[0]!);
    },
    whyClosed: () => undefined,
    device: () => '10:200',
    run: async (program) => programs[program] ?? 'missing',
    whyTaken: async () => undefined,
    ...changes.rest,
  };
}

const healthy: StatusReport = {
  ...exampleReport,
  version,
  peers: exampleReport.peers.filter(({ id }) => id === 'osaka'),
};
const answering = (report: StatusReport): Ask => (async () => report) as unknown as Ask;
const nobody: Ask = () => Promise.reject(new CryonetError('no_control', 'no cryonet runs here'));

const findingsOf = (machine: Machine, ask = answering(healthy)) => lookedAt(ask, machine);
const ofSubject = (findings: readonly Finding[], subject: string) =>
  findings.filter((each) => each.subject === subject);

test('golden: a healthy machine and node, at 80 columns', async () => {
  const { text, exitCode } = await doctor(answering(healthy), machineOf({}));
  assert.equal(exitCode, 0);
  assert.equal(
    text({ color: false, width: 80 }),
    `ok     control         berlin has run for 2h5m
ok     dataplane       node-datachannel, UDP port 2333
ok     warnings        the node has none
ok     peers           1 of 1 up
ok     versions        ${version}, both cryoc and the node
ok     ports           TCP [::]:2333, UDP 2333
ok     device          /dev/net/tun can be opened
ok     rights          the dataplane, process 4117, has CAP_NET_ADMIN
ok     kernel          6.12.1-amd64 has UDP_SEGMENT, UDP_GRO,
                       SO_ATTACH_REUSEPORT_CBPF and TUN_F_USO4, by its version
ok     clock           synchronized
ok     firewall        nft has no rules for what comes in
ok     rp_filter       drops nothing of a link
ok     ipv6            interfaces have their link-local addresses
ok     forwarding      off, as on a node that no others are reached through; to
                       be one: sysctl -w net.ipv4.ip_forward=1
ok     networkd        does not run
ok     NetworkManager  leaves the interfaces alone
`,
  );
  const colored = text({ color: true, width: 80 });
  assert.ok(colored.startsWith('\x1b[32mok     \x1b[0mcontrol         berlin'));
  const bare = colored.split('\x1b').map((part, i) => (i === 0 ? part : part.slice(part.indexOf('m') + 1)));
  assert.equal(bare.join(''), text({ color: false, width: 80 }));
});

test('a node that does not run is a line among the others', async () => {
  const { text, exitCode, json } = await doctor(nobody, machineOf({}));
  assert.equal(exitCode, 3);
  assert.match(text(plain), /^to do {2}control {9}no cryonet runs here\n\? {6}versions/);
  const { findings } = json as { findings: Finding[] };
  assert.deepEqual(ofSubject(findings, 'ports'), [
    { subject: 'ports', state: 'ok', message: 'TCP and UDP port 2333 are free' },
  ]);
});

test('what the node says is wrong is wrong here, and steers no terminal', async () => {
  const report: StatusReport = {
    ...healthy,
    version: '0.0.1',
    peers: [{ ...healthy.peers[0]!, state: 'lost' }],
    dataplane: { ...healthy.dataplane, connected: false },
    warnings: [{ subject: 'udp-port', peer: null, message: 'taken\u001b[2J', since: 0 }],
  };
  const { text, exitCode } = await doctor(answering(report), machineOf({}));
  assert.equal(exitCode, 3);
  const lines = text(plain)
    .split('\n')
    .filter((line) => line.startsWith('to do'));
  assert.deepEqual(
    lines.map((line) => line.split(/\s+/)[2]),
    ['dataplane', 'warning', 'peer', 'versions'],
  );
  assert.match(lines[1]!, /udp-port: taken\?\[2J$/);
});

const rule = (expr: readonly object[], chain = 'input') => ({
  rule: { family: 'inet', table: 'filter', chain, expr },
});
const chain = (policy: string) => ({
  chain: { family: 'inet', table: 'filter', name: 'input', type: 'filter', hook: 'input', prio: 0, policy },
});
const dport = (right: unknown, protocol = 'udp') => ({
  match: { op: '==', left: { payload: { protocol, field: 'dport' } }, right },
});
const accept = { accept: null };
const drop = { drop: null };
const established = { match: { op: 'in', left: { ct: { key: 'state' } }, right: ['established'] } };

suite('nftables', () => {
  const cases: readonly [what: string, rules: readonly object[], state: Finding['state'], said: RegExp][] = [
    ['no rules', [], 'ok', /no rules/],
    ['a policy that accepts', [chain('accept')], 'ok', /nothing that nft lists drops UDP 2333/],
    [
      'a policy that drops',
      [chain('drop'), rule([established, accept])],
      'wrong',
      /none accepts UDP 2333: nft insert/,
    ],
    ['one with the port', [chain('drop'), rule([dport(2333), accept])], 'ok', /nothing/],
    ['one with another port', [chain('drop'), rule([dport(2334), accept])], 'wrong', /none accepts/],
    ['one with TCP alone', [chain('drop'), rule([dport(2333, 'tcp'), accept])], 'wrong', /none accepts/],
    ['a set', [chain('drop'), rule([dport({ set: [22, 2333] }), accept])], 'ok', /nothing/],
    [
      'a range in a set',
      [chain('drop'), rule([dport({ set: [{ range: [2000, 3000] }] }), accept])],
      'ok',
      /nothing/,
    ],
    ['any transport', [chain('drop'), rule([dport(2333, 'th'), accept])], 'ok', /nothing/],
    ['a chain that is jumped to', [chain('drop'), rule([dport(2333), accept], 'services')], 'ok', /nothing/],
    [
      'a rule that drops the port',
      [chain('accept'), rule([dport(2333), drop])],
      'wrong',
      /a rule of table inet filter, chain input drops/,
    ],
    ['a last rule that drops all', [chain('accept'), rule([{ counter: {} }, drop])], 'wrong', /none accepts/],
    [
      'a last rule that rejects some',
      [chain('accept'), rule([dport(25), { reject: null }])],
      'ok',
      /nothing/,
    ],
    [
      'rules of iptables',
      [chain('drop'), rule([{ xt: { type: 'match', name: 'udp' } }, accept])],
      'unknown',
      /iptables-save/,
    ],
    ['what nobody understands', [{ chain: 5 }], 'unknown', /not understood/],
  ];
  for (const [what, nftables, state, said] of cases) {
    test(`${what}: ${state}`, async () => {
      const nft = { out: JSON.stringify({ nftables }) };
      const [finding] = ofSubject(await findingsOf(machineOf({ programs: { nft } })), 'firewall');
      assert.equal(finding?.state, state, finding?.message);
      assert.match(finding.message, said);
    });
  }

  for (const [ran, isRoot, said] of [
    ['missing', true, /there is no nft/],
    [{ complaint: 'Operation not permitted' }, false, /^look as root$/],
    [{ complaint: 'no such thing' }, true, /no such thing/],
    [{ out: 'no JSON' }, true, /not understood/],
  ] as const) {
    test(`nft that says ${JSON.stringify(ran)} leaves it open`, async () => {
      const machine = machineOf({ programs: { nft: ran }, rest: { isRoot } });
      const [finding] = ofSubject(await findingsOf(machine), 'firewall');
      assert.equal(finding?.state, 'unknown');
      assert.match(finding.message, said);
    });
  }
});

suite('the machine', () => {
  type Changes = Parameters<typeof machineOf>[0];
  const cases: readonly [
    subject: string,
    changes: Changes,
    state: Finding['state'],
    said: RegExp,
    ask?: Ask,
  ][] = [
    ['device', { rest: { device: () => undefined } }, 'wrong', /there is no .dev.net.tun: modprobe tun/],
    ['device', { rest: { device: () => '1:3' } }, 'wrong', /has the numbers 1:3/],
    ['device', { rest: { whyClosed: () => 'EPERM' } }, 'wrong', /control group/],
    ['device', { rest: { whyClosed: () => 'ENODEV' } }, 'wrong', /no TUN driver: modprobe tun/],
    ['device', { rest: { whyClosed: () => 'EACCES', isRoot: false } }, 'unknown', /look as root/],
    [
      'rights',
      { files: { '/proc/4117/status': 'CapEff:\t0000000000000400\n' } },
      'wrong',
      /no CAP_NET_ADMIN/,
    ],
    ['rights', { files: { '/proc/4117/status': undefined } }, 'unknown', /cannot be seen/],
    ['rights', {}, 'unknown', /start it as root/, nobody],
    ['rights', { files: { '/proc/self/status': 'CapEff:\t000001ffffffffff\n' } }, 'ok', /can make/, nobody],
    ['kernel', { rest: { release: '4.9.0' } }, 'wrong', /no UDP_GRO: .*; no UDP_SEGMENT/],
    ['kernel', { rest: { release: '5.10.0-28' } }, 'wrong', /lacks something; .*TUN_F_USO4/],
    ['clock', { programs: { timedatectl: { out: 'no\n' } } }, 'wrong', /timedatectl set-ntp true/],
    [
      'clock',
      { programs: { timedatectl: { complaint: 'System has not been booted' } } },
      'unknown',
      /nothing here/,
    ],
    ['rp_filter', { files: { '/proc/sys/net/ipv4/conf/all/rp_filter': '1\n' } }, 'wrong', /of cnosaka drops/],
    ['rp_filter', { files: { '/proc/sys/net/ipv4/conf/all/rp_filter': '2\n' } }, 'ok', /drops nothing/],
    [
      'rp_filter',
      { files: { '/proc/sys/net/ipv4/conf/all/rp_filter': '1\n' } },
      'wrong',
      /every interface/,
      nobody,
    ],
    [
      'ipv6',
      { files: { '/proc/sys/net/ipv6/conf/cnosaka/disable_ipv6': '1\n' } },
      'wrong',
      /conf.cnosaka.disable/,
    ],
    [
      'ipv6',
      { files: { '/proc/sys/net/ipv6/conf/all/disable_ipv6': undefined } },
      'wrong',
      /kernel has none/,
    ],
    [
      'forwarding',
      { files: { '/proc/9/comm': 'bird\n' } },
      'wrong',
      /bird runs, .*: sysctl -w net.ipv4.ip_forward=1$/,
    ],
    [
      'forwarding',
      { files: { '/proc/9/comm': 'sh\n', '/proc/sys/net/ipv4/ip_forward': '1\n' } },
      'ok',
      /^on$/,
    ],
    [
      'networkd',
      { files: { '/run/systemd/netif/links/8': 'ADMIN_STATE=configured\n' } },
      'wrong',
      /takes cnosaka/,
    ],
    ['networkd', { files: { '/run/systemd/netif/links/8': 'ADMIN_STATE=unmanaged\n' } }, 'ok', /alone/],
    [
      'NetworkManager',
      { programs: { nmcli: { out: 'cnosaka:connected (externally)\n' } } },
      'wrong',
      /manages cnosaka/,
    ],
    [
      'NetworkManager',
      { programs: { nmcli: { complaint: 'NetworkManager is not running.' } } },
      'ok',
      /not run/,
    ],
    ['NetworkManager', { programs: { nmcli: 'missing' } }, 'ok', /not installed/],
    [
      'ports',
      { rest: { whyTaken: async (kind) => (kind === 'udp' ? 'EADDRINUSE' : undefined) } },
      'wrong',
      /ss -ulpn/,
      nobody,
    ],
  ];
  for (const [subject, changes, state, said, ask] of cases) {
    test(`${subject}: ${state}, ${said.source}`, async () => {
      const [finding, ...others] = ofSubject(await findingsOf(machineOf(changes), ask), subject);
      assert.deepEqual(others, []);
      assert.equal(finding?.state, state, finding?.message);
      assert.match(finding.message, said);
    });
  }

  test('a program that is not there holds nothing up', async () => {
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    assert.equal(await thisMachine.run('cryonet-no-such-program', []), 'missing');
    assert.equal(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length, before);
  });

  test('this one is looked at as it is, whatever is wrong with it', async () => {
    const findings = await lookedAt(nobody, thisMachine);
    for (const subject of [
      'control',
      'ports',
      'device',
      'rights',
      'kernel',
      'clock',
      'firewall',
      'rp_filter',
    ])
      assert.equal(ofSubject(findings, subject).length, 1, subject);
    assert.deepEqual(await thisMachine.run('false', []), { complaint: '' });
    assert.equal(await thisMachine.run('cryonet-no-such-program', []), 'missing');
    assert.equal(thisMachine.device('/dev/null'), '1:3');
    assert.equal(thisMachine.whyClosed('/dev/null'), undefined);
  });
});
