/** Verifying a signature takes 0.1 ms, more than all else that a message costs. So a signature that held is not verified
 *  again. */
import { refuse, spend } from './costs.ts';
import { type Environment, hex } from './environment.ts';
import { remember, remembers } from './recent.ts';
import type { Turn } from './state.ts';

/** The environment in which a message from `neighbor` is handled. It remembers signatures that held, and charges others to
 *  the neighbor. */
export function looking({ mesh, env }: Turn, neighbor: string): Environment {
  return {
    ...env,
    verify: (key, message, signature) => {
      const name = hex(env.digest(join(key, signature, message)).subarray(0, 16));
      if (remembers(mesh.proven, name)) return true;
      if (!spend(mesh, neighbor, 'signatures', env.now)) return false;
      if (!env.verify(key, message, signature)) {
        refuse(mesh, neighbor, 'forged', env.now);
        return false;
      }
      remember(mesh.proven, name);
      return true;
    },
  };
}

/** Key and signature have fixed lengths, so different triples make different bytes. */
function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
