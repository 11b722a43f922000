/** What goes with the packages: bill of materials, licences, checksums, signatures, a repository. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checksums } from './checksums.ts';
import { thirdPartyLicences } from './licences.ts';
import { buildRepository } from './repository.ts';
import { type SbomOptions, sbom } from './sbom.ts';
import { type Signing, signDetached, signingKey } from './signing.ts';

export interface ReleaseOptions extends SbomOptions, Signing {
  /** Folder that the packages are in; the rest is put next to them. */
  readonly out: string;
  /** Folders of the npm packages whose files are in the packages as they are. */
  readonly roots: readonly string[];
}

/** Checksums are of what can be built again byte for byte; the signed copies of rpms are in the repository alone. */
export async function release(options: ReleaseOptions): Promise<void> {
  const { out, version, metafiles, roots } = options;
  const key = await signingKey(options);
  const packages = readdirSync(out).filter((name) => isPackageOf(name, version));
  if (packages.length === 0) throw new Error(`no packages of ${version} in ${out}: ./dev package makes them`);
  const materials = `cryonet-${version}.cdx.json`;
  const licences = `cryonet-${version}-third-party-licences.txt`;
  writeFileSync(join(out, materials), sbom(options));
  writeFileSync(join(out, licences), thirdPartyLicences(metafiles, roots));
  const sums = join(out, 'SHA256SUMS');
  rmSync(`${sums}.asc`, { force: true });
  writeFileSync(sums, await checksums(out, [...packages, materials, licences]));
  if (key !== null) await signDetached(sums, key);
  await buildRepository({
    folder: join(out, 'repo'),
    packages: packages.map((name) => join(out, name)),
    key,
  });
}

/** As ./dev package names them: cryonet_1.2.3_amd64.deb, cryonet-1.2.3-1.x86_64.rpm. */
function isPackageOf(name: string, version: string): boolean {
  return (
    (name.startsWith(`cryonet_${version}_`) && name.endsWith('.deb')) ||
    (name.startsWith(`cryonet-${version}-`) && name.endsWith('.rpm'))
  );
}
