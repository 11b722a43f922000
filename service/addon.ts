/** Finds the native addons: in `native/` beside a bundled program, or where `build.mjs` leaves them in a checkout. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { CryonetError, errorCodes, reasonOf } from '../protocol/errors.ts';

/** `folder` has the addon's sources in a checkout. There CRYONET_ADDON=sanitize picks the variant that the tests build.
 *  Throws `addon_missing`. */
export function openAddon(name: string, folder: 'dataplane' | 'service'): unknown {
  const variant = process.env.CRYONET_ADDON === 'sanitize' ? '-sanitize' : '';
  const build = `../${folder}/native/build/linux-${process.arch}${variant}/${name}.node`;
  const places = [`native/${name}.node`, build].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const path = places.find((place) => existsSync(place));
  if (path === undefined) throw new CryonetError('addon_missing');
  try {
    return createRequire(import.meta.url)(path);
  } catch (cause) {
    throw new CryonetError('addon_missing', `${errorCodes.addon_missing} (${reasonOf(cause)})`, { cause });
  }
}
