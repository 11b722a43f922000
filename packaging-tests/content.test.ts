/** What the packages hold, looked at without installing them. */
import assert from 'node:assert/strict';
import { closeSync, globSync, lstatSync, openSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { shell } from '../netns-tests/lab/shell.ts';
import { architectures, packageFile, unpacked } from './lab/packages.ts';
import { packageStory } from './lab/story.ts';

/** The newest glibc that a file may need, after the `2.`: RHEL 9's; what others built needs less. */
const floors: Readonly<Record<string, number>> = { node: 28, 'node_datachannel.node': 30 };
const ownFloor = 34;

/** What readelf calls them. */
const machines = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' };

for (const arch of architectures) {
  packageStory(`every binary of the ${arch} package runs where it should`, ['readelf'], async (lab) => {
    const tree = await unpacked(lab, arch);
    const binaries = globSync('**/*', { cwd: tree }).filter((path) => isBinary(join(tree, path)));
    assert.deepEqual(
      ['node', 'launch', 'cryonet.node', 'service.node', 'node_datachannel.node'].filter(
        (name) => !binaries.some((path) => basename(path) === name),
      ),
      [],
    );
    for (const path of binaries) {
      const { stdout: header } = await shell`readelf --file-header --wide ${join(tree, path)}`;
      assert.match(header, new RegExp(`Machine:\\s+${machines[arch]}`), path);
      const { stdout: needs } = await shell`readelf --version-info --wide ${join(tree, path)}`;
      const newest = Math.max(...[...needs.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor)));
      const most = floors[basename(path)] ?? ownFloor;
      lab.figures.push(`${path} needs glibc 2.${newest}`);
      assert.ok(newest <= most, `${lab.figures.at(-1)}, more than 2.${most}`);
    }
  });
}

packageStory('the arm64 node loads its addons', ['qemu-aarch64-static'], async (lab) => {
  const tree = await unpacked(lab, 'arm64');
  const home = join(tree, 'usr/lib/cryonet');
  const addons = globSync('**/*.node', { cwd: home }).map((path) => join(home, path));
  assert.equal(addons.length, 3);
  const load =
    'for (const addon of process.argv.slice(1)) console.log(Object.keys(require(addon)).length > 0)';
  const emulated = [
    'qemu-aarch64-static',
    '-L',
    '/usr/aarch64-linux-gnu',
    join(home, 'bin/node'),
    '--jitless',
  ];
  const { stdout } = await shell`${emulated} -e ${load} ${addons}`;
  assert.equal(stdout, 'true\n'.repeat(addons.length));
});

packageStory(
  'the packages hold no secret, nothing setuid and nothing that others may write',
  ['rpm'],
  async (lab) => {
    for (const arch of architectures) {
      const tree = await unpacked(lab, arch);
      const paths = globSync('**/*', { cwd: tree }).map((path) => join(tree, path));
      const loose = paths.filter(
        (path) => !lstatSync(path).isSymbolicLink() && (statSync(path).mode & 0o6022) !== 0,
      );
      assert.deepEqual(loose, []);
      const open = paths.filter(
        (path) => path.includes('/etc/') && statSync(path).isFile() && (statSync(path).mode & 0o7) !== 0,
      );
      assert.deepEqual(open, []);
      const { stdout } = await shell`rpm --query --dump --package ${packageFile('rpm', 'first', arch)}`;
      const listed = stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' '));
      // path size mtime digest mode owner group isconfig isdoc rdev symlink
      const wide = listed.filter(
        ([, , , , mode]) => !mode!.startsWith('0120') && (Number.parseInt(mode!, 8) & 0o6022) !== 0,
      );
      assert.deepEqual(wide, []);
      assert.deepEqual(
        listed
          .filter(([path, , , , mode]) => path!.startsWith('/etc/') && mode!.startsWith('0100'))
          .map(([path, , , , mode, owner, group, config]) => [path, mode, owner, group, config]),
        [
          ['/etc/cryonet/config.toml', '0100640', 'root', 'cryonet', '1'],
          ['/etc/default/cryonet', '0100640', 'root', 'root', '1'],
        ],
      );
    }
  },
);

function isBinary(path: string): boolean {
  if (!lstatSync(path).isFile()) return false;
  const file = openSync(path, 'r');
  const start = Buffer.alloc(4);
  readSync(file, start);
  closeSync(file);
  return start.equals(Buffer.from('\x7fELF'));
}
