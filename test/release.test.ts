import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type ReleaseOptions, release } from '../packaging/release/main.ts';

const needed = ['apt-get', 'gpg', 'dpkg-deb', 'reprepro', 'rpmbuild', 'rpmsign', 'createrepo_c'];
const missing = needed.filter((name) => spawnSync(name, ['--version']).error !== undefined);
const skip = missing.length > 0 && `needs ${missing.join(', ')}`;

const version = '1.2.3';
const sbomOptions = {
  version,
  epoch: 1_700_000_000,
  node: { version: process.versions.node, sha256: { x64: '11'.repeat(32), arm64: '22'.repeat(32) } },
  metafiles: [
    { outputs: { 'cryonet.mjs': { inputs: { 'node_modules/ws/wrapper.mjs': { bytesInOutput: 9 } } } } },
  ],
};

interface Run {
  readonly status: number | null;
  readonly output: string;
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Run {
  const done = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, LC_ALL: 'C', ...env },
  });
  return { status: done.status, output: `${done.stdout}${done.stderr}` };
}

function must(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): string {
  const { status, output } = run(command, args, env);
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${output}`);
  return output;
}

/** Changes one letter where `mark` is. */
function tamper(path: string, mark: string): void {
  const bytes = readFileSync(path);
  const at = bytes.indexOf(mark);
  assert.ok(at >= 0, `${mark} is in ${path}`);
  bytes[at + mark.length - 1]! ^= 1;
  writeFileSync(path, bytes);
}

suite('a signed release', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'cryonet-release-'));
  const out = join(folder, 'dist');
  const keyring = join(folder, 'gpg');
  const outside = process.env.GNUPGHOME;

  before(async () => {
    mkdirSync(out);
    mkdirSync(keyring, { mode: 0o700 });
    process.env.GNUPGHOME = keyring;
    const who = 'cryonet test <cryonet@example.org>';
    must('gpg', ['--batch', '--passphrase', '', '--quick-generate-key', who, 'rsa2048', 'sign', 'never']);
    tinyDeb('amd64');
    tinyDeb('arm64');
    tinyRpm('x86_64');
    tinyRpm('aarch64');
    await release({ ...sbomOptions, out, roots: [], sign: 'cryonet@example.org' });
  });
  after(() => {
    run('gpgconf', ['--homedir', keyring, '--kill', 'all']);
    if (outside === undefined) delete process.env.GNUPGHOME;
    else process.env.GNUPGHOME = outside;
    rmSync(folder, { recursive: true, force: true });
  });

  function tinyDeb(architecture: string): void {
    const tree = join(folder, `deb-${architecture}`);
    mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
    mkdirSync(join(tree, 'usr/share/doc/cryonet'), { recursive: true });
    writeFileSync(join(tree, 'usr/share/doc/cryonet/note'), 'untouched\n');
    writeFileSync(
      join(tree, 'DEBIAN/control'),
      `Package: cryonet\nVersion: ${version}\nArchitecture: ${architecture}\nSection: net\nPriority: optional\nMaintainer: The cryonet authors <cryonet@example.org>\nDescription: a test\n`,
    );
    must('dpkg-deb', [
      '--root-owner-group',
      '-Znone',
      '--build',
      tree,
      join(out, `cryonet_${version}_${architecture}.deb`),
    ]);
  }

  function tinyRpm(architecture: string): void {
    const top = join(folder, `rpm-${architecture}`);
    mkdirSync(top);
    const spec = join(top, 'cryonet.spec');
    writeFileSync(
      spec,
      `Name: cryonet\nVersion: ${version}\nRelease: 1\nSummary: a test\nLicense: Apache-2.0\n%description\na test\n%install\nmkdir -p %{buildroot}/usr/share/doc/cryonet\necho untouched > %{buildroot}/usr/share/doc/cryonet/note\n%files\n/usr/share/doc/cryonet/note\n`,
    );
    must('rpmbuild', [
      '-bb',
      '--quiet',
      '--target',
      `${architecture}-linux`,
      '--define',
      `_topdir ${top}`,
      '--define',
      '_binary_payload w0.gzdio',
      spec,
    ]);
    const name = `cryonet-${version}-1.${architecture}.rpm`;
    copyFileSync(join(top, 'RPMS', architecture, name), join(out, name));
  }

  /** apt with folders of its own, so that nothing of the machine's is read or changed. */
  function aptOf(tree: string, name: string) {
    const home = join(folder, name);
    for (const part of [
      'etc/preferences.d',
      'etc/apt.conf.d',
      'state/lists/partial',
      'cache/archives/partial',
      'download',
    ])
      mkdirSync(join(home, part), { recursive: true });
    writeFileSync(join(home, 'state/status'), '');
    writeFileSync(
      join(home, 'etc/cryonet.sources'),
      `Types: deb\nURIs: file:${tree}/apt\nSuites: stable\nComponents: main\nSigned-By: ${out}/repo/cryonet.asc\n`,
    );
    writeFileSync(
      join(home, 'apt.conf'),
      [
        `Dir "${home}";`,
        'Dir::State "state"; Dir::State::status "state/status"; Dir::Cache "cache";',
        'Dir::Etc "etc"; Dir::Etc::sourcelist "cryonet.sources"; Dir::Etc::sourceparts "/dev/null";',
        'APT::Architecture "amd64"; APT::Architectures { "amd64"; }; APT::Sandbox::User "root"; Acquire::Languages "none";',
        '',
      ].join('\n'),
    );
    return (command: string, args: readonly string[]) =>
      run('sh', ['-c', 'cd "$1" && shift && exec "$@"', 'sh', join(home, 'download'), command, ...args], {
        APT_CONFIG: join(home, 'apt.conf'),
      });
  }

  function copyOfTree(name: string): string {
    const copy = join(folder, name);
    cpSync(join(out, 'repo'), copy, { recursive: true });
    return copy;
  }

  test('apt trusts the tree by its key alone, finds the package and fetches it', () => {
    const apt = aptOf(join(out, 'repo'), 'apt-good');
    const updated = apt('apt-get', ['update']);
    assert.equal(updated.status, 0, updated.output);
    assert.doesNotMatch(updated.output, /^[WE]:/m);
    assert.match(apt('apt-cache', ['policy', 'cryonet']).output, /Candidate: 1\.2\.3\n/);
    const fetched = apt('apt-get', ['download', 'cryonet']);
    assert.equal(fetched.status, 0, fetched.output);
    assert.deepEqual(readdirSync(join(folder, 'apt-good/download')), [`cryonet_${version}_amd64.deb`]);
  });

  test('apt refuses an index in which a letter was changed', () => {
    const tree = copyOfTree('bad-release');
    tamper(join(tree, 'apt/dists/stable/InRelease'), 'Origin: cryonet');
    tamper(join(tree, 'apt/dists/stable/Release'), 'Origin: cryonet');
    const { status, output } = aptOf(tree, 'apt-bad-release')('apt-get', ['update']);
    assert.equal(status, 100, output);
    assert.match(output, /BADSIG|invalid signature|not signed/i);
  });

  test('apt refuses a list of packages that is not the one that was signed', () => {
    const tree = copyOfTree('bad-packages');
    const lists = join(tree, 'apt/dists/stable/main/binary-amd64');
    rmSync(join(lists, 'Packages.gz'), { force: true });
    tamper(join(lists, 'Packages'), 'Package: cryonet');
    const apt = aptOf(tree, 'apt-bad-packages');
    const { status, output } = apt('apt-get', ['update']);
    assert.notEqual(status, 0);
    assert.match(output, /Hash Sum mismatch|unexpected size/);
    assert.doesNotMatch(apt('apt-cache', ['policy', 'cryonet']).output, /Candidate: 1/);
  });

  test('apt refuses a package in which a letter was changed', () => {
    const tree = copyOfTree('bad-deb');
    tamper(join(tree, `apt/pool/main/c/cryonet/cryonet_${version}_amd64.deb`), 'untouched');
    const apt = aptOf(tree, 'apt-bad-deb');
    assert.equal(apt('apt-get', ['update']).status, 0);
    const { status, output } = apt('apt-get', ['download', 'cryonet']);
    assert.notEqual(status, 0);
    assert.match(output, /Hash Sum mismatch|unexpected size/);
  });

  test('the tree for yum lists the packages of both architectures and has its index signed', () => {
    const data = join(out, 'repo/yum/repodata');
    const primary = readdirSync(data).find((name) => name.endsWith('primary.xml.gz'))!;
    const text = gunzipSync(readFileSync(join(data, primary))).toString();
    for (const architecture of ['x86_64', 'aarch64'])
      assert.match(text, new RegExp(`href="cryonet-${version}-1\\.${architecture}\\.rpm"`));
    must('gpg', ['--verify', join(data, 'repomd.xml.asc'), join(data, 'repomd.xml')]);
  });

  test('rpm accepts the signed packages, and no package that was changed or never signed', () => {
    const rpm = (...args: readonly string[]) => run('rpm', ['--dbpath', join(folder, 'rpmdb'), ...args]);
    assert.equal(rpm('--import', join(out, 'repo/cryonet.asc')).status, 0);
    const name = `cryonet-${version}-1.x86_64.rpm`;
    const signed = rpm('-Kv', join(out, 'repo/yum', name));
    assert.equal(signed.status, 0, signed.output);
    assert.match(signed.output, /Signature, key ID [0-9a-f]+: OK/);
    const changed = join(folder, name);
    copyFileSync(join(out, 'repo/yum', name), changed);
    tamper(changed, 'untouched');
    assert.notEqual(rpm('-K', changed).status, 0);
    assert.doesNotMatch(rpm('-Kv', join(out, name)).output, /Signature/);
  });

  test('the checksums name every file of the release, hold, and are signed', () => {
    const sums = readFileSync(join(out, 'SHA256SUMS'), 'utf8');
    const others = readdirSync(out).filter((name) => name !== 'repo' && !name.startsWith('SHA256SUMS'));
    assert.equal(others.length, 6);
    assert.deepEqual(
      sums
        .trimEnd()
        .split('\n')
        .map((line) => line.slice(66)),
      others.sort(),
    );
    must('sh', ['-c', 'cd "$1" && sha256sum --check --strict SHA256SUMS', 'sh', out]);
    must('gpg', ['--verify', join(out, 'SHA256SUMS.asc'), join(out, 'SHA256SUMS')]);
  });

  test('the private key stays where it was', () => {
    const text = must('grep', ['-rlaE', 'PRIVATE KEY|private-key', keyring, '--include=*.key']);
    assert.notEqual(text, '');
    assert.notEqual(run('grep', ['-rqaE', 'PRIVATE KEY|private-key', out]).status, 0);
  });

  test('a release that is not signed has to be asked for', async () => {
    const options: ReleaseOptions = { ...sbomOptions, out, roots: [] };
    await assert.rejects(release(options), /--sign KEYID, or --unsigned/);
    await assert.rejects(release({ ...options, sign: 'a', unsigned: true }), /--sign KEYID, or --unsigned/);
    await assert.rejects(release({ ...options, sign: 'nobody' }), /gpg has no secret key nobody/);
    await release({ ...options, unsigned: true });
    assert.deepEqual(
      ['SHA256SUMS.asc', 'repo/cryonet.asc', 'repo/apt/dists/stable/InRelease'].filter(
        (path) => run('test', ['-e', join(out, path)]).status === 0,
      ),
      [],
    );
    const refused = aptOf(join(out, 'repo'), 'apt-unsigned')('apt-get', ['update']);
    assert.notEqual(refused.status, 0);
  });
});
