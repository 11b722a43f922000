/** The two services of the package, on machines. */
import type { Lab } from '../../netns-tests/lab/lab.ts';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { blocksBelow } from '../../netns-tests/lab/readme.ts';
import { lan } from '../../netns-tests/lab/topology.ts';
import { waitFor } from '../../netns-tests/lab/wait.ts';
import type { PeerStatus } from '../../protocol/status.ts';
import { Machine } from './machine.ts';
import { type Edition, inMachine } from './packages.ts';

export const control = 'cryonet.service';
export const dataplane = 'cryonet-dataplane.service';
export const socket = 'cryonet-dataplane.socket';
export const configFile = '/etc/cryonet/config.toml';

/** As an administrator would: apt asks nothing, and keeps what was edited. */
export async function install(machine: Machine, edition: Edition = 'first'): Promise<void> {
  const options = ['-y', '-q', '--allow-downgrades'];
  await machine.$`apt-get install ${options} ${inMachine('deb', edition)}`;
}

export async function giveToken(machine: Machine, token = 'packaging-tests-2333'): Promise<void> {
  await machine.write('/etc/cryonet/token', `${token}\n`, '0600');
}

/** Puts settings below the commented ones. */
export async function configure(machine: Machine, settings: string): Promise<void> {
  await machine.$({ input: `\n${settings}\n` })`cat >>${configFile}`;
}

export interface Mesh {
  /** Serves bootstrap; on bookworm. */
  readonly berlin: Machine;
  /** Joins through berlin; on trixie. */
  readonly osaka: Machine;
  /** osaka as berlin pings it, over their link. */
  readonly osakaFromBerlin: string;
}

/**
 * Two machines with the package, configured as README says, and linked directly. `isInvited`: osaka by an invitation.
 *
 *   berlin  bookworm, bootstrap ──┐ switch
 *   osaka   trixie → berlin ──────┘
 */
export async function mesh(lab: Lab, isInvited = false): Promise<Mesh> {
  const { hosts } = await lan(lab, ['berlin', 'osaka'], 'ipv4');
  const [berlinHost, osakaHost] = hosts as [Namespace, Namespace];
  const [berlin, osaka] = await Promise.all([
    Machine.boot(berlinHost, 'bookworm'),
    Machine.boot(osakaHost, 'trixie'),
  ]);
  await Promise.all([berlin, osaka].map((machine) => install(machine)));
  const [, listening, joining] = blocksBelow('## As a service') as [string, string, string];
  await configure(berlin, listening);
  await giveToken(berlin);
  if (isInvited) await invite(berlin, osaka);
  else {
    await configure(osaka, joining.replace('berlin.example.net', berlinHost.address));
    await giveToken(osaka);
  }
  const peer = await linkedDirectly(berlin, osaka);
  await linkedDirectly(osaka, berlin);
  return { berlin, osaka, osakaFromBerlin: `${peer.interface!.peerAddress}%${peer.interface!.name}` };
}

/** The invited service, which waits for its token, is not started by anybody. */
async function invite(inviter: Machine, invitee: Machine): Promise<void> {
  const url = `ws://${inviter.namespace.address}:2333`;
  const { stdout } = await waitFor(
    'the inviter to have its token',
    30_000,
    () => inviter.$({ nothrow: true })`cryoc invite --server ${url}`,
    ({ exitCode }) => exitCode === 0,
  );
  await invitee.$`cryoc join --yes ${stdout.trim()}`;
}

/** Waits until `machine` says that its link to `other` is on the direct path. */
export async function linkedDirectly(machine: Machine, other: Machine, bound = 30_000): Promise<PeerStatus> {
  return (await waitFor(
    `${machine.name} to be linked directly with ${other.name}`,
    bound,
    async () => (await machine.status()).peers.find(({ id }) => id === other.name),
    (peer) => peer?.state === 'up' && peer.path === 'direct',
  ))!;
}

/** linux/capability.h: CAP_NET_ADMIN is bit 12. */
export const netAdmin = '0000000000001000';
export const noCapability = '0000000000000000';

/** Whose a process is, what it may do, and who may look into it: root, where it is not dumpable (proc_pid(5)). */
export async function rights(machine: Machine, pid: number) {
  const { stdout } = await machine.$`cat /proc/${pid}/status /proc/${pid}/limits`;
  const field = (name: string) => new RegExp(`^${name}:?\\s+(\\S+)`, 'm').exec(stdout)?.[1];
  const owners = await machine.$`stat -c %U /proc/${pid} /proc/${pid}/environ`;
  const [user, environment] = owners.stdout.trim().split('\n');
  return {
    ...{ user, environment },
    ...{ effective: field('CapEff'), bounding: field('CapBnd'), core: field('Max core file size') },
  };
}

/** Names of the links' interfaces on a machine. */
export async function interfacesOf({ namespace }: Machine): Promise<string[]> {
  const links = await namespace.ip<{ ifname: string }>('link', 'show', 'type', 'tun');
  return links.map(({ ifname }) => ifname);
}
