/** What to do about a file that the kernel keeps from this user. */
import { userInfo } from 'node:os';

/** The end of an error message that says who needs a right to a file; nothing if `cause` is not a missing right. `what`
 *  is what they must be able to do: `read it`, for example. Root too has to be the owner or permitted by the mode, since it
 *  gives up its power over files (`service/launch/`). */
export function denialOf(cause: unknown, what: string): string {
  if ((cause as NodeJS.ErrnoException).code !== 'EACCES') return '';
  const bound =
    process.geteuid?.() === 0 ? ', as owner or by its mode: cryonet has no more rights than that' : '';
  return `: user ${userName()} must be able to ${what}${bound}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `${process.geteuid?.()}`;
  }
}
