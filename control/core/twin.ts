/** Another node with our ID, with a key of its own or with ours, of which the mesh tells: a warning for as long as it
 *  does. */
import { shownKey } from './identity.ts';
import { notice, type Turn } from './state.ts';

/** Milliseconds without a word of it after which a clone is gone. */
const cloneLifetime = 120_000;

/** `key` signed what `teller` told: it exists, and a member may have made it. Without a teller, its node proved itself. */
export function meetTwin(turn: Turn, key: Uint8Array, teller: string): void {
  const { mesh, env } = turn;
  mesh.twinAt = env.now;
  warn(
    turn,
    'id-elsewhere',
    `another node has the ID "${mesh.self.id}"${says(teller)}: our key is ${shownKey(mesh.self.key)}, its key ${shownKey(key)}; each node links with the one it met first, give one of them another ID`,
  );
}

/** Another process has our ID and our key: a machine that was copied, or a state directory. */
export function meetClone(turn: Turn, teller: string): void {
  const { mesh, env } = turn;
  const { id, key } = mesh.self;
  if (mesh.cloneAt === null)
    notice(turn, 'error', 'another machine runs with our identity key', { by: teller });
  mesh.cloneAt = env.now;
  mesh.epochs.warnedAt = null;
  warn(turn, 'epoch', null);
  warn(
    turn,
    'clone',
    `another machine runs as "${id}" with our identity key ${shownKey(key)}${says(teller)}: the two displace each other; on the copy delete identity.pem and give it another ID`,
  );
}

/** Nobody has told of it for as long as a node is known that is not heard of. */
export function settleTwin(turn: Turn): void {
  const { mesh, env } = turn;
  const { forgetAfter, aliveInterval } = mesh.config;
  if (mesh.twinAt !== null && env.now - mesh.twinAt >= forgetAfter) {
    mesh.twinAt = null;
    warn(turn, 'id-elsewhere', null);
  }
  if (mesh.cloneAt !== null && env.now - mesh.cloneAt >= Math.max(cloneLifetime, 4 * aliveInterval)) {
    mesh.cloneAt = null;
    warn(turn, 'clone', null);
  }
}

function says(teller: string): string {
  return teller === '' ? '' : `, says ${teller}`;
}

function warn({ effects }: Turn, subject: string, message: string | null): void {
  effects.push({ type: 'warning', subject, about: null, message });
}
