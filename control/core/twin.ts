/** Another node with our ID and a key of its own, of which the mesh tells: a warning for as long as it does. */
import { shownKey } from './identity.ts';
import type { Turn } from './state.ts';

const subject = 'id-elsewhere';

/** `key` signed what `teller` told: it exists, and a member may have made it. Without a teller, its node proved itself. */
export function meetTwin({ mesh, env, effects }: Turn, key: Uint8Array, teller: string): void {
  const says = teller === '' ? '' : `, says ${teller}`;
  mesh.twinAt = env.now;
  effects.push({
    type: 'warning',
    subject,
    about: null,
    message: `another node has the ID "${mesh.self.id}"${says}: our key is ${shownKey(mesh.self.key)}, its key ${shownKey(key)}; each node links with the one it met first, give one of them another ID`,
  });
}

/** Nobody has told of it for as long as a node is known that is not heard of. */
export function settleTwin({ mesh, env, effects }: Turn): void {
  if (mesh.twinAt === null || env.now - mesh.twinAt < mesh.config.forgetAfter) return;
  mesh.twinAt = null;
  effects.push({ type: 'warning', subject, about: null, message: null });
}
