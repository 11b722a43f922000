/** Warnings about another node with our ID: a twin has a key of its own, a clone has ours. They last while the mesh tells
 *  of it. */
import { fingerprintOf } from './fingerprint.ts';
import { notice, type Turn } from './state.ts';

/** Milliseconds without a sign of it after which a clone counts as gone. */
const cloneLifetime = 120_000;

/** Another key has our ID. It signed the record that `teller` told, so it exists, though a member may have invented it. An
 *  empty `teller` means that the node proved itself. */
export function meetTwin(turn: Turn, key: Uint8Array, teller: string): void {
  const { mesh, env } = turn;
  mesh.twinAt = env.now;
  warn(
    turn,
    'id-elsewhere',
    `another node has the ID "${mesh.self.id}"${says(teller)}: our key is ${fingerprintOf(mesh.self.key, env.digest)}, its key ${fingerprintOf(key, env.digest)}; each node links with the one it met first, give one of them another ID`,
  );
}

/** Another process has our ID and our key, because a machine or a state directory was copied. */
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
    `another machine runs as "${id}" with our identity key ${fingerprintOf(key, env.digest)}${says(teller)}: the two displace each other; on the copy delete identity.pem and give it another ID`,
  );
}

/** Ends the warnings once nobody has told of the other node for long enough. */
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
