/** Redeems an invitation: proves to the inviter that this machine is invited, and is told the tokens. Nothing is proved to
 *  anybody but the node whose fingerprint the invitation has. */
import type { WebSocket } from 'ws';
import { equal, sha256 } from '../../control/io/crypto.ts';
import { Deadline } from '../../control/io/deadline.ts';
import { ClientHandshake, type Judge, ofInvitees, type Proven, Refused } from '../../control/io/handshake.ts';
import { invitedKey, inviteeOf } from '../../control/io/invitation.ts';
import { Turns } from '../../control/io/names.ts';
import { shakeHands } from '../../control/io/neighbor-socket.ts';
import { openWebSocket } from '../../control/io/opening.ts';
import type { Outgoing } from '../../control/io/outgoing.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { fingerprintText } from '../../protocol/fingerprint.ts';
import {
  type InvitationPayload,
  maxWelcome,
  type Welcome,
  welcomeMessage,
} from '../../protocol/invitation.ts';
import { parse } from '../../protocol/schema.ts';

/** Milliseconds for the welcome after the proofs. */
const welcomeTimeout = 20_000;

/** What the inviter has told, by the servers in turn. Throws why the inviter refuses, or why the last server was of no
 *  use. */
export async function redeem(
  invitation: InvitationPayload,
  id: string,
  outgoing: Outgoing,
): Promise<Welcome> {
  const failures: string[] = [];
  for (const url of invitation.servers) {
    try {
      return await redeemAt(url, invitation, id, outgoing);
    } catch (error) {
      if (error instanceof Refused && error.server !== undefined) throw inWords(error);
      failures.push(`${url}: ${wordsOf(error)}`);
    }
  }
  throw new CryonetError('unavailable', failures.join('; '));
}

async function redeemAt(
  url: string,
  { secret, fingerprint }: InvitationPayload,
  id: string,
  outgoing: Outgoing,
): Promise<Welcome> {
  const invitee = inviteeOf(secret);
  const judge: Judge = ({ key }) => {
    const digest = sha256(key);
    if (equal(digest, fingerprint)) return undefined;
    const words = `another node than the inviter answers there, with the key ${fingerprintText(digest)}`;
    throw new CryonetError('identity_mismatch', words);
  };
  const local = {
    ...{ id, epoch: Date.now(), identity: invitee },
    tokenKeys: [invitedKey(invitee.publicKey)] as const,
  };
  const { socket, opened } = openWebSocket(url, outgoing, new Turns(), maxWelcome);
  try {
    await opened;
    const handshake = new ClientHandshake(local, judge, ofInvitees);
    const { proven } = await shakeHands(socket, handshake, handshake.start());
    const welcome = parse(welcomeMessage, await sealedMessage(socket, proven));
    const inviter = welcome.pins.some(({ id, key }) => id === proven.peer.id && equal(key, proven.peer.key));
    if (!inviter) throw new CryonetError('bad_message', 'its welcome does not name it');
    return welcome;
  } finally {
    socket.terminate();
  }
}

function sealedMessage(socket: WebSocket, { incoming }: Proven): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const fail = (words: string) => reject(new CryonetError('connection_closed', words));
    const deadline = new Deadline(welcomeTimeout, () => fail('no welcome within 20 s'));
    socket.once('close', () => {
      deadline.clear();
      fail('closed before its welcome');
    });
    socket.once('message', (sealed: Buffer) => {
      deadline.clear();
      const frame = incoming.open(sealed);
      if (frame === undefined)
        reject(new CryonetError('bad_frame', 'a welcome that was not sealed by the inviter'));
      else resolve(frame);
    });
  });
}

/** What only the inviter can have said. */
function inWords({ refusal, server }: Refused): CryonetError {
  const again = 'ask for another one, by cryoc invite there';
  const words: Readonly<Record<string, string>> = {
    unknown_invitation: `the invitation was revoked: ${again}`,
    invitation_expired: `the invitation has expired: ${again}`,
    invitation_used: `the invitation has been used, if not by you then by somebody else: tell ${server!.id}, and ${again}`,
    invitation_other: 'another ID was invited: name it by --id',
    unavailable: `${server!.id} cannot write to its disk now, and so gives nothing away: try again later`,
  };
  return new CryonetError(refusal.code, words[refusal.code] ?? `refused: ${refusal.code}`);
}

function wordsOf(error: unknown): string {
  const { code } = error as CryonetError;
  if (code === 'wrong_token' && error instanceof Refused)
    return 'the node there does not know this invitation: it is of another mesh, ended long ago, or of a node that was installed again or is too old for invitations';
  return code === 'wrong_token' ? 'it does not prove to be the inviter' : reasonOf(error);
}
