/** "Two machines" of README, followed to the letter: each command and each file as it stands there. */
import assert from 'node:assert/strict';
import { Internet } from './lab/internet.ts';
import type { Lab } from './lab/lab.ts';
import type { Namespace } from './lab/namespace.ts';
import { coneNat } from './lab/nat.ts';
import { blocksBelow, Machinelike } from './lab/readme.ts';
import { story } from './lab/story.ts';
import { startTurnServer } from './lab/turn.ts';
import { waitFor } from './lab/wait.ts';

const [makeToken, onBerlin, onOsaka, pingOsaka] = blocksBelow('## Two machines') as [
  string,
  string,
  string,
  string,
];

/*
 *   berlin  bootstrap, with a public address ──────┐ 203.0.113.0/24
 *   osaka ── router, NAT ──────────────────────────┤
 *   stun ──────────────────────────────────────────┘
 */
async function twoMachines(lab: Lab): Promise<{ berlin: Machinelike; osaka: Machinelike }> {
  const internet = await Internet.make(lab);
  const berlinHost = await internet.publicHost('berlin');
  const stun = await internet.publicHost('stun', { addresses: 2 });
  const [osakaHost] = (await internet.home(coneNat(), 'osaka')) as [Namespace];
  await startTurnServer(stun);
  const names = { 'berlin.example.net': berlinHost.address, 'stun.example.net': stun.address };
  const berlin = await Machinelike.make(berlinHost, names);
  const osaka = await Machinelike.make(osakaHost, names);
  await berlin.$`bash -euc ${makeToken}`;
  const { stdout: token } = await berlin.$`cat /etc/cryonet/token`;
  await osaka.$({ input: token })`mkdir /etc/cryonet && umask 077 && cat >/etc/cryonet/token`;
  berlin.start('cryonet', onBerlin);
  osaka.start('cryonet', onOsaka);
  return { berlin, osaka };
}

/** Waits for an address to answer. */
async function answers(machine: Machinelike, address: string, bound = 30_000): Promise<void> {
  await waitFor(
    `${address} to answer ${machine.namespace.label}`,
    bound,
    () => machine.$({ nothrow: true })`ping -c 1 -W 1 ${address}`,
    ({ exitCode }) => exitCode === 0,
  );
}

story(
  'the two machines of README are linked, and the ping that it shows is answered',
  ['ping', 'nft', 'turnserver'],
  async (lab) => {
    const { berlin, osaka } = await twoMachines(lab);
    const [, target] = /^ping (\S+)$/m.exec(pingOsaka)!;
    await answers(berlin, target!);
    const { stdout: status } = await berlin.$`cryoc status`;
    assert.match(status, new RegExp(`^osaka +up .* cnosaka .*${target!.split('%')[0]}`, 'm'));
    const { stdout: far } = await osaka.$`ip -brief link`;
    assert.match(far, /^cnberlin /m);
  },
);

story(
  'with the babeld of README both machines answer at their addresses',
  ['ping', 'nft', 'turnserver', 'babeld'],
  async (lab) => {
    const machines = await twoMachines(lab);
    const [file, commands] = blocksBelow('### Babel') as [string, string];
    const settings = commands.trimEnd().split('\n');
    const daemon = settings.pop()!;
    for (const [machine, here] of [
      [machines.berlin, (line: string) => line],
      [machines.osaka, theLikeOnOsaka],
    ] as const) {
      await machine.$({ input: here(file) })`cat >/etc/babeld.conf`;
      await machine.$`bash -euc ${here(settings.join('\n'))}`;
      machine.start('babeld', daemon);
    }
    for (const address of ['10.20.2.1', 'fd20:2::1']) await answers(machines.berlin, address);
    for (const address of ['10.20.1.1', 'fd20:1::1']) await answers(machines.osaka, address);
  },
);

story(
  'with the BIRD of README both machines answer at their addresses',
  ['ping', 'nft', 'turnserver', 'bird'],
  async (lab) => {
    const machines = await twoMachines(lab);
    const [file] = blocksBelow('### OSPFv3') as [string];
    for (const [machine, here] of [
      [machines.berlin, (line: string) => line],
      [machines.osaka, theLikeOnOsaka],
    ] as const) {
      await machine.$({ input: here(file) })`mkdir -p /etc/bird /run/bird && cat >/etc/bird/bird.conf`;
      await machine.$`ip address add ${here('fd20:1::1/128')} dev lo`;
      machine.start('bird', 'bird -f');
    }
    await answers(machines.berlin, 'fd20:2::1', 60_000);
    await answers(machines.osaka, 'fd20:1::1');
  },
);

/** "The like on osaka". */
function theLikeOnOsaka(text: string): string {
  return text
    .replaceAll('10.20.1.1', '10.20.2.1')
    .replaceAll('fd20:1::1', 'fd20:2::1')
    .replaceAll('cnosaka', 'cnberlin');
}
