/** What a bug report holds, and that nothing is in it which nobody else is to read. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Ask } from '../cli/command.ts';
import { bugreport } from '../cli/local/bugreport.ts';
import { thisMachine } from '../cli/local/machine.ts';
import { Masking } from '../cli/local/masking.ts';
import type { At } from '../cli/watching.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { StatusReport } from '../protocol/status.ts';
import { answering } from './control-server.ts';
import { temporaryFolder } from './socket-pair.ts';
import { exampleReport, plain } from './status-example.ts';

const token = 'Wm9vIGJlYXJzIGFyZSBub3Qgc2VjcmV0';
const credential = 'kitten4ever';
const report: StatusReport = {
  ...exampleReport,
  bootstrap: [
    {
      url: 'wss://boot.example.org:443/x',
      state: 'waiting',
      id: null,
      error: 'connect ECONNREFUSED [2001:db8::5]:443',
    },
  ],
  warnings: [
    { subject: 'turn:turn.example.org:3478', peer: null, message: `user ${credential} refused`, since: 0 },
  ],
};

/** All that must not be in it, of a whole status. */
function privateParts(): string[] {
  const { node, peers } = report;
  const ends = peers.flatMap(({ pair }) => (pair === null ? [] : [pair.local.address, pair.remote.address]));
  const devices = peers.flatMap(({ interface: device }) =>
    device === null ? [] : [device.address, device.peerAddress],
  );
  const keys = [node.identity, ...peers.map(({ identity }) => identity)];
  return [...ends, ...devices, ...keys, '2001:db8::5', '192.0.2.77', 'boot.example.org', 'turn.example.org'];
}

async function reported(context: TestContext, addresses: boolean): Promise<string> {
  const folder = temporaryFolder(context);
  const configFile = join(folder, 'config.toml');
  writeFileSync(
    configFile,
    `id = "berlin"\ntoken = "${token}"\nlisten = "192.0.2.77:2333"\n# ${credential}\nunheard-of = "hidden-too"\n` +
      `ice-servers = ["turn:turn.example.org:3478|anna|secret:${credential}|1h", "stun:192.0.2.77:3478"]\n`,
  );
  mkdirSync(join(folder, 'config.d'));
  writeFileSync(join(folder, 'config.d', 'bad.toml'), `token = ${token}\n`);
  const journal = `ws from 192.0.2.10 says ${token} and ${credential}\u001b[2J\n`;
  const machine = {
    ...thisMachine,
    run: async (name: string) => (name === 'journalctl' ? { out: journal } : ('missing' as const)),
  };
  const ask: Ask = (async () => report) as unknown as Ask;
  const event = {
    time: '2026-11-30T17:42:01.003Z',
    event: 'link.lost',
    peer: 'rome',
    reason: 'no way to 192.0.2.10',
  };
  const socket = await answering(context, (_request, response) => {
    response.write(`id: 7-1\nevent: link.lost\ndata: ${JSON.stringify(event)}\n\n`);
  });
  const at: At = (use) => use(socket);
  const shown = await bugreport(ask, at, { addresses, file: 'x' }, { machine, configFile });
  return `${shown.text(plain)}${JSON.stringify(shown.json)}`;
}

test('no token, key, credential or address of a whole status, of logs, events or configuration is in a report', async (context) => {
  const text = await reported(context, false);
  for (const part of [token, credential, 'hidden-too', ...privateParts()])
    if (part !== '') assert.ok(!text.includes(part), part);
  for (const name of ['machine', 'status', 'doctor', 'events', 'journal'])
    assert.match(text, new RegExp(`^== ${name}$`, 'm'));
  assert.match(text, /"event":"link.lost","peer":"rome","reason":"no way to ipv4-\d+"/);
  assert.match(text, /"listen": "ipv4-\d+:2333"/);
  assert.match(text, /config\.d\/bad\.toml\nis no TOML/);
  const [, local] = /"local": \{\s*"type": "host",\s*"address": "(ipv4-\d+)"/.exec(text)!;
  assert.match(text, new RegExp(`no way to ${local}"`), 'the same address has the same name');
  assert.match(text, /says \(secret\) and \(secret\)\?\[2J/);
});

test('with addresses they stay, and secrets and keys do not', async (context) => {
  const text = await reported(context, true);
  for (const part of ['192.0.2.10', '2001:db8::5', 'boot.example.org', 'fe80::b1ae:9d63:a2d9:fc05'])
    assert.ok(text.includes(part), part);
  for (const part of [token, credential, 'hidden-too', report.node.identity])
    assert.ok(!text.includes(part), part);
});

test('a report can be made where no node runs', async (context) => {
  const nobody: Ask = () => Promise.reject(new CryonetError('no_control', 'no cryonet runs here'));
  const machine = { ...thisMachine, run: async () => 'missing' as const };
  const sources = { machine, configFile: join(temporaryFolder(context), 'config.toml') };
  const shown = await bugreport(nobody, () => assert.fail('asked'), { addresses: false, file: 'x' }, sources);
  assert.match(shown.text(plain), /^== status\nno cryonet runs here$/m);
  assert.match(shown.text(plain), /config\.toml\nnot to be read: ENOENT/);
});

test('what is an address is replaced, what looks like one stays', () => {
  const masking = new Masking([], false);
  const cases: readonly [text: string, masked: string][] = [
    ['[2001:db8::1]:2333 and 2001:DB8::1', '[ipv6-1]:2333 and ipv6-1'],
    ['::ffff:192.0.2.1 fe80::1%cnb', 'ipv6-2 ipv6-3%cnb'],
    ['at 12:34:56, 0.0.0.0 127.0.0.1 ::1 [::]:2333', 'at 12:34:56, 0.0.0.0 127.0.0.1 ::1 [::]:2333'],
    ['10.0.0.1:1 10.0.0.1 300.1.1.1 6.12.1', 'ipv4-1:1 ipv4-1 300.1.1.1 6.12.1'],
    ['52:54:00:12:34:56', 'mac-1'],
    ['ws://a.example:1/ stun:b.example:2 https://10.0.0.1/', 'ws://host-1:1/ stun:host-2:2 https://ipv4-1/'],
  ];
  for (const [text, masked] of cases) assert.equal(masking.mask(text), masked);
});
