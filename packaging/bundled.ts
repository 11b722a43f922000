/**
 * The programs of a checkout as the packages have them: a file each, which starts with a third less of a processor than
 * the modules that it is made of.
 *
 *   .bundled-XXXXXX/cryonet             launchers
 *   .bundled-XXXXXX/cryonet.mjs         bundles, which find what is native as the checkout's modules do
 *   .bundled-XXXXXX/cache               V8's code, if no other place is given for it
 */
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { version } from '../protocol/version.ts';
import { type BundleName, bundle, bundleNames, type ProgramName, programNames, root } from './bundle.ts';
import { commandOf } from './manifest.ts';
import { quoted } from './quoted.ts';

/** Makes the folder, which is gone when this process ends. */
export async function bundledPrograms(): Promise<string> {
  const folder = mkdtempSync(join(root, '.bundled-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const launch = join(root, `service/launch/build/linux-${process.arch}/launch`);
  const writeBundle = async (name: BundleName) => {
    const path = join(folder, `${name}.mjs`);
    writeFileSync(path, (await bundle(name, version)).text);
    return path;
  };
  const writeLauncher = (name: ProgramName) => {
    const program = join(folder, name);
    const command = commandOf(name, { launch, node: process.execPath, bundle: `${program}.mjs` });
    const cache = quoted(join(folder, 'cache'));
    const run = command.map(quoted).join(' ');
    const given = `[ -n "$NODE_COMPILE_CACHE" ] || export NODE_COMPILE_CACHE=${cache}`;
    writeFileSync(program, `#!/bin/sh\n${given}\nexec ${run} "$@"\n`);
    chmodSync(program, 0o755);
    return program;
  };
  const files = [...(await Promise.all(bundleNames.map(writeBundle))), ...programNames.map(writeLauncher)];
  chmodSync(folder, 0o755);
  // `launch` looks at whose program it starts, and who may read it.
  const { uid, gid } = statSync(root);
  for (const path of [folder, ...files]) chownSync(path, uid, gid);
  return folder;
}
