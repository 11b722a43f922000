/** What is signed, and how: by gpg, with a key of the caller's keyring (GNUPGHOME). */
import { $ } from 'zx/core';

const shell = $({ quiet: true });

export interface Signing {
  /** A key of gpg's keyring. */
  readonly sign?: string | undefined;
  /** Has to be said: a tree that is not signed by oversight looks like one that is. */
  readonly unsigned?: boolean | undefined;
}

/** Null for a release that is not to be signed. Worth asking before a long build. */
export async function signingKey({ sign, unsigned }: Signing): Promise<string | null> {
  if ((sign === undefined) === (unsigned !== true))
    throw new Error('a release takes --sign KEYID, or --unsigned');
  if (sign === undefined) return null;
  const { exitCode } = await shell({ nothrow: true })`gpg --batch --list-secret-keys ${sign}`;
  if (exitCode !== 0) throw new Error(`gpg has no secret key ${sign}`);
  return sign;
}

/** Bytes of `path` signed in `path`.asc. */
export async function signDetached(path: string, key: string): Promise<void> {
  await shell`gpg --batch --yes --local-user ${key} --armor --output ${path}.asc --detach-sign ${path}`;
}

/** In place. The macros are those that Red Hat's rpm has by itself and Debian's does not. */
export async function signRpm(path: string, key: string): Promise<void> {
  const gpg = (await shell`command -v gpg`).stdout.trim();
  await shell`rpmsign --define ${`_gpg_name ${key}`} --define ${`__gpg ${gpg}`} --define ${'_gpg_sign_cmd_extra_args --batch'} --addsign ${path}`;
}

export async function exportKey(path: string, key: string): Promise<void> {
  await shell`gpg --batch --yes --armor --output ${path} --export ${key}`;
}
