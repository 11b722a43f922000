/** By a member that has a link with the victim. */
import { setTimeout as pause } from 'node:timers/promises';
import { newEphemeral } from '../../../control/io/crypto.ts';
import type { Said } from '../../../dataplane/io/channel-records.ts';
import { encode } from '../../../protocol/msgpack.ts';
import { fullPacket } from '../../../protocol/wire.ts';
import { configuring, withInformation } from '../../admission-packets.ts';
import { twins } from '../../interface-twins.ts';
import { waitFor } from '../../native/wait.ts';
import type { Member, Way } from '../member.ts';
import type { HostilePeer } from '../peer.ts';
import type { After, Attack, Counter, Site } from './attack.ts';
import { joinAsMember } from './neighbor.ts';

/** Milliseconds in which a peer is cut off. */
const cutLimit = 10_000;

/** Bytes unsent above which a flood waits: more than the other end has read. */
const highWater = 262_144;

/** Times that each of some packets is sent. */
const rounds = 300;

interface Peer {
  readonly member: Member;
  readonly way: Way;
  readonly peer: HostilePeer;
}

async function linkAsPeer(site: Site, after: After, id?: string): Promise<Peer> {
  const { member, way } = await joinAsMember(site, after, id);
  const peer = await member.link(way, { packetInformation: true });
  after(() => peer.close());
  return { member, way, peer };
}

function byPeer(what: string, counter: Counter, act: (peer: Peer) => Promise<unknown>): Attack {
  return { what, counter, run: async (site, after) => act(await linkAsPeer(site, after)) };
}

/** Says it as fast as the other end reads, until that has enough. */
function byFlood(what: string, counter: Counter, said: Said, bytes: () => Uint8Array): Attack {
  const channel = said === 'full' ? 'data' : said;
  return byPeer(what, counter, async ({ peer }) => {
    let count = 0;
    while (!peer.isOver) {
      while (peer.unsent(channel) < highWater && peer.sendSaid(said, bytes())) count++;
      await pause(1);
    }
    return `cut off after ${count}`;
  });
}

export const peers: readonly Attack[] = [
  byPeer('datachannels that nobody asked for', ['refused', 'channel'], async ({ peer }) => {
    peer.floodInBand();
    await waitFor('the end', () => peer.isOver, cutLimit);
  }),
  byFlood('signals without end', ['refused', 'signal'], 'signal', () => Uint8Array.of(1)),
  byFlood('pings without end', ['refused', 'wire'], 'wire', () => encode({ type: 'ping', number: 1 })),
  byFlood('full packets, each of which is answered', ['refused', 'wire'], 'full', () => fullPacket(1, 1280)),
  byPeer('new keys without end', ['refused', 'renewal'], async ({ peer }) => {
    for (let generation = 1; generation < 50; generation++) {
      peer.say({ type: 'renew', generation, index: generation, x25519: newEphemeral().publicKey });
      await pause(20);
    }
  }),
  byPeer('router advertisements and redirects', ['peers', 'configuration'], async ({ peer }) => {
    for (let i = 0; i < rounds; i++) {
      for (const packet of Object.values(configuring)) {
        peer.sendPacket(withInformation(packet[0]! >> 4 === 6 ? 0x86dd : 0x0800, packet));
      }
      await pause(1);
    }
  }),
  byPeer('other protocols than IP and MPLS', ['peers', 'protocol'], async ({ peer }) => {
    for (let i = 0; i < rounds; i++) {
      // ARP, 802.1Q, EAPOL, LLDP, and what is no ethertype.
      for (const ethertype of [0x0806, 0x8100, 0x888e, 0x88cc, 0x0004])
        peer.sendPacket(withInformation(ethertype, new Uint8Array(64)));
      await pause(1);
    }
  }),
  {
    what: 'an ID for the name of another node’s interface',
    counter: ['refused', 'name'],
    async run(site, after) {
      await linkAsPeer(site, after, twins[1]);
    },
  },
];
