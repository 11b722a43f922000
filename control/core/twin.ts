/** Another node with our ID and a key of its own, of which the mesh tells: a warning for as long as it does. */
import type { MemberEntry } from '../../protocol/signaling.ts';
import { readRecord } from './membership.ts';
import type { Turn } from './state.ts';

const subject = 'id-elsewhere';

/** The entry is signed by the other key, which proves that it exists, not that it runs: a member may have made it. */
export function meetTwin({ mesh, env, effects }: Turn, entry: MemberEntry, teller: string): void {
  const record = readRecord(entry)!;
  mesh.twinAt = env.now;
  effects.push({
    type: 'warning',
    subject,
    about: null,
    message: `another node has the ID "${mesh.self.id}", says ${teller}: our key is ${shown(mesh.self.key)}, its key ${shown(record.key)}; each node links with the one it met first, give one of them another ID`,
  });
}

/** Nobody has told of it for as long as a node is known that is not heard of. */
export function settleTwin({ mesh, env, effects }: Turn): void {
  if (mesh.twinAt === null || env.now - mesh.twinAt < mesh.config.forgetAfter) return;
  mesh.twinAt = null;
  effects.push({ type: 'warning', subject, about: null, message: null });
}

/** As `cryoc status` shows keys: base64url (RFC 4648 5). */
function shown(key: Uint8Array): string {
  return btoa(String.fromCharCode(...key))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}
