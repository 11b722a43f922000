/** What the packages are made of; that they install and run is told by packaging-tests/. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { type ControlConfig, readConfig } from '../control/config/config.ts';
import { options, optionTable } from '../control/config/options.ts';
import { inherited } from '../control/io/dataplane-process.ts';
import { dataplaneProgram } from '../dataplane/options.ts';
import { type Bundle, type BundleName, bundle, bundleNames, programNames } from '../packaging/bundle.ts';
import { configToml, dataplaneOnly, defaultFile, notConfigured } from '../packaging/config-files.ts';
import { type Content, type Format, manifest, nodeFlags, type Parts } from '../packaging/manifest.ts';
import { architectures } from '../packaging/runtime.ts';
import { stage } from '../packaging/stage.ts';
import { dataplaneFlags, environmentName, variablesOf } from '../protocol/command-line.ts';

const root = dirname(import.meta.dirname);
const folder = mkdtempSync(join(tmpdir(), 'cryonet-packaging-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const each = (['deb', 'rpm'] as const).flatMap((format) =>
  architectures.map((arch) => [format, arch] as const),
);

function parts(arch: Parts['arch']): Parts {
  for (const name of ['node', 'node_datachannel.node', 'cryonet.node', 'service.node', 'launch'])
    writeFileSync(join(folder, name), name);
  return {
    ...{ version: '1.2.3', arch, epoch: 1_700_000_000, addons: folder },
    bundles: Object.fromEntries(bundleNames.map((name) => [name, ''])),
    ...{ node: join(folder, 'node'), nodeDatachannel: join(folder, 'node_datachannel.node') },
    ...{ dataplaneSum: '', sbom: '', licences: '', copyright: '' },
  };
}

const contentsOf = (format: Format, arch: Parts['arch']) => manifest(format, parts(arch)).contents;

suite('the manifest', () => {
  test('has each path once, and nothing that sets an ID or that others may write', () => {
    for (const [format, arch] of each) {
      const contents = contentsOf(format, arch);
      assert.equal(new Set(contents.map(({ dst }) => dst)).size, contents.length);
      for (const { dst, type, mode } of contents) {
        assert.match(dst, /^\/(usr|etc)\//);
        if (type !== 'link') assert.equal(mode & 0o7022, 0, dst);
      }
    }
  });

  test('keeps what may hold a credential from others, and as the administrator left it', () => {
    for (const [format, arch] of each) {
      const kept = contentsOf(format, arch).filter(
        ({ dst, type, group }) => dst.startsWith('/etc/') && (type !== 'dir' || group !== undefined),
      );
      assert.deepEqual(
        kept.map(({ dst, type, mode, group }) => [dst, type, mode, group]),
        [
          ['/etc/cryonet/config.d', 'dir', 0o750, 'cryonet'],
          ['/etc/cryonet/config.toml', 'config', 0o640, 'cryonet'],
          ['/etc/default/cryonet', 'config', 0o640, undefined],
        ],
      );
    }
  });

  test('hands the dataplane its own variables and no other, nor does a control that starts one', () => {
    const flags = ['id', ...optionTable.map(({ flag }) => flag)];
    const given = [
      ...variablesOf(flags),
      'HTTPS_PROXY',
      'CREDENTIALS_DIRECTORY',
      'LISTEN_FDS',
      'X_LOG_LEVEL',
    ];
    const own = variablesOf(dataplaneFlags);
    const ofControl = inherited(
      Object.fromEntries([...given, ...own, 'PATH'].map((name) => [name, 'some value'])),
    );
    assert.deepEqual(Object.keys(ofControl).sort(), [...own, 'PATH'].sort());

    const dataplane = dataplaneProgram().options.flatMap(({ envVar = [] }) => envVar);
    assert.deepEqual(dataplane, dataplaneFlags.map(environmentName));

    const script = contentsOf('deb', 'x64').find(({ dst }) => dst.endsWith('/dataplane-environment'))!.src!;
    const [file, picked] = [join(folder, 'default'), join(folder, 'environment')];
    const lines = [...given, ...own].map((name) => `${name}="some value"`);
    writeFileSync(file, ['# LOG_LEVEL=info', ...lines, ' LOG_LEVEL = warn', ''].join('\n'));
    execFileSync(script, [picked, file]);
    assert.equal(statSync(picked).mode & 0o777, 0o600);
    assert.deepEqual(
      readFileSync(picked, 'utf8')
        .match(/[A-Z_]+(?= ?=)/g)!
        .sort(),
      [...own, ...own.filter((name) => given.includes(name)), 'LOG_LEVEL'].sort(),
    );
    execFileSync(script, [picked]);
    assert.ok(!existsSync(picked));
  });

  test('keeps networkd and NetworkManager off the interfaces of the default prefix', () => {
    const contents = contentsOf('deb', 'x64');
    const text = (dst: string) =>
      readFileSync(contents.find((content) => content.dst === dst)!.src!, 'utf8').replaceAll(/^#.*\n/gm, '');
    const name = `${options.interfacePrefix.fallback}*`;
    assert.equal(
      text('/usr/lib/systemd/network/05-cryonet.network'),
      `[Match]\nName=${name}\n\n[Link]\nUnmanaged=yes\n`,
    );
    assert.equal(
      text('/usr/lib/NetworkManager/conf.d/05-cryonet.conf'),
      `[device-cryonet]\nmatch-device=interface-name:${name}\nmanaged=0\n`,
    );
  });

  test('has every file that a unit or a launcher runs, and may run it', () => {
    for (const [format, arch] of each) {
      const contents = contentsOf(format, arch);
      const byPath = new Map(contents.map((content) => [content.dst, content]));
      const started = contents.flatMap((content) => commandsOf(content));
      assert.ok(started.length >= 6);
      for (const command of started) {
        const [program, ...rest] = command;
        assert.equal(byPath.get(program!)!.mode, 0o755, program);
        for (const path of rest.filter((word) => word.startsWith('/')))
          assert.equal(byPath.get(path)?.type, 'file', path);
        const node = command.findIndex((word) => word.endsWith('/node'));
        if (node >= 0) assert.deepEqual(command.slice(node + 1).slice(0, nodeFlags.length), nodeFlags);
      }
    }
  });

  test('runs Node with the flags of the launchers of a checkout, and both processes with few rights', () => {
    const node = /^set -- "\$node" .*$/m.exec(readFileSync(join(root, 'bin/launch.sh'), 'utf8'))![0];
    for (const flag of nodeFlags) assert.ok(node.includes(` ${flag} `), flag);
    const started = new Map(contentsOf('deb', 'x64').map((content) => [content.dst, commandsOf(content)[0]]));
    const first = (program: string) => started.get(`/usr/bin/${program}`)!.slice(0, 2);
    assert.deepEqual(first('cryonet'), ['/usr/lib/cryonet/launch', 'control']);
    assert.deepEqual(first('cryonet-dataplane'), ['/usr/lib/cryonet/launch', 'dataplane']);
    assert.equal(first('cryoc')[0], '/usr/lib/cryonet/bin/node');
  });

  test('is staged with the modes and the time that it says, whatever the umask', () => {
    const umask = process.umask(0o077);
    try {
      const tree = join(folder, 'tree');
      const contents = contentsOf('deb', 'x64');
      stage(tree, contents, 1_700_000_000);
      const listing = execFileSync('find', [tree, '-printf', '%y %m %T@ /%P\\n'], { encoding: 'utf8' });
      const found = new Map(
        listing
          .trim()
          .split('\n')
          .map((line) => [line.split(' ')[3]!, line.split(' ')]),
      );
      for (const { dst, type, mode } of contents)
        if (type !== 'link') assert.equal(found.get(dst)?.[1], mode.toString(8), dst);
      for (const [path, [kind, mode, time]] of found) {
        assert.equal(Number(time), 1_700_000_000, path);
        if (kind === 'd') assert.equal(mode, path === '/etc/cryonet/config.d' ? '750' : '755', path);
      }
    } finally {
      process.umask(umask);
    }
  });
});

function commandsOf({ dst, src, text }: Content): string[][] {
  if (dst.endsWith('.service')) {
    const lines = readFileSync(src!, 'utf8').match(/^Exec(Start|Stop)=.*$/gm)!;
    return lines.map((line) => line.replace(/^\w+=\+?/, '').split(' '));
  }
  if (!dst.startsWith('/usr/bin/')) return [];
  return [/^exec (.*) "\$@"$/m.exec(String(text))![1]!.split(' ')];
}

suite('the configuration in the package', () => {
  const certificate = join(folder, 'tls.crt');
  writeFileSync(certificate, '');
  const authority = join(folder, 'ca.pem');
  writeFileSync(authority, rootCertificates[0]!);
  const read = (args: readonly string[], env: Record<string, string> = {}): ControlConfig =>
    readConfig(['--token', 'secret', ...args], { ID: 'here', ...env }, 0);
  const defaults = read([]);
  /** Each setting of a file by name, and whether it is an example alone. */
  const settings = (text: string) =>
    [...text.matchAll(/^((?:# .*\n)+)#([\w-]+)( ?= ?)(.*)$/gm)].map(([, help, name, equals, value]) => ({
      name: name!,
      line: `${name}${equals}${value}`
        .replace(/\/etc\/cryonet\/tls\.\w+/, certificate)
        .replace('/etc/cryonet/ca.pem', authority),
      isExample: help!.trimEnd().endsWith('for example:'),
    }));
  const fromToml = (lines: readonly string[]) => {
    const path = join(folder, 'config.toml');
    writeFileSync(path, lines.join('\n'));
    return read(['--config', path]);
  };
  const fromDefaultFile = (lines: readonly string[]) =>
    read([], Object.fromEntries(lines.map((line) => variable(line))));

  test('has every option, in either file or set by a unit', () => {
    const flags = optionTable.map(({ flag }) => flag).filter((flag) => !notConfigured.includes(flag));
    assert.deepEqual(
      settings(configToml()).map(({ name }) => name),
      ['id', ...flags.filter((flag) => !dataplaneOnly.includes(flag))],
    );
    assert.deepEqual(
      settings(defaultFile()).map(({ name }) => name),
      ['ID', ...flags.map(environmentName)],
    );
  });

  test('changes nothing as it is, nor with each default uncommented', () => {
    for (const [text, use] of [
      [configToml(), fromToml],
      [defaultFile(), fromDefaultFile],
    ] as const) {
      assert.ok(text.split('\n').every((line) => line === '' || line.startsWith('#')));
      const chosen = settings(text).filter(({ isExample }) => !isExample);
      assert.ok(chosen.length > 10);
      // But for where the address to listen on was read, which its messages name.
      const { listenSource: _, ...read } = use(chosen.map(({ line }) => line));
      const { listenSource: __, ...expected } = defaults;
      assert.deepEqual(read, expected);
    }
  });

  test('has examples that are accepted and that change something', () => {
    for (const [text, use] of [
      [configToml(), fromToml],
      [defaultFile(), fromDefaultFile],
    ] as const) {
      const examples = settings(text).filter(
        ({ isExample, name }) => isExample && name.toLowerCase() !== 'id',
      );
      assert.ok(examples.length >= 7);
      const config = use(examples.map(({ line }) => line));
      for (const name of ['wsServers', 'iceServers', 'allow', 'deny'] as const)
        assert.ok(config[name].length > 0, name);
      assert.equal(config.udpPort, 2333);
      assert.notEqual(config.tls, null);
      assert.deepEqual(config.tlsCa, [rootCertificates[0]]);
    }
  });
});

/** As systemd.exec(5) reads a line of EnvironmentFile=. */
function variable(line: string): [string, string] {
  const [, name, quoted, plain] = /^(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))$/.exec(line)!;
  return [name!, quoted === undefined ? plain! : quoted.replace(/\\(.)/g, '$1')];
}

suite('a bundle', () => {
  const bundles = Promise.all(
    bundleNames.map(async (name): Promise<[BundleName, Bundle]> => [name, await bundle(name, '7.7.7')]),
  );

  test('is a program by itself that says its version', async () => {
    for (const [name, { text }] of await bundles) writeFileSync(join(folder, `${name}.mjs`), text);
    for (const name of programNames) {
      const path = join(folder, `${name}.mjs`);
      const output = execFileSync(process.execPath, [path, '--version'], { encoding: 'utf8', cwd: folder });
      assert.equal(output.trim(), '7.7.7', name);
    }
  });

  test('knows nothing of the folder that it was made in', async () => {
    for (const [name, { text }] of await bundles) assert.ok(!text.includes(root), name);
  });

  test('of the dataplane differs in nothing but the version from one version to the next', async () => {
    const [, { text }] = (await bundles).find(([name]) => name === 'cryonet-dataplane')!;
    const next = await bundle('cryonet-dataplane', '8.8.8');
    assert.notEqual(next.text, text);
    assert.equal(next.text.replace('"8.8.8"', '"7.7.7"'), text);
  });

  test('of the dataplane reads werift, a file beside it, only when it is asked for', async () => {
    const [dataplane, werift] = ['cryonet-dataplane', 'werift'].map((name) => join(folder, `${name}.mjs`));
    const seen = (code: string) =>
      execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
        encoding: 'utf8',
        cwd: folder,
      });
    assert.match(readFileSync(dataplane!, 'utf8'), /import\("\.\/werift\.mjs"\)/);
    assert.doesNotMatch(readFileSync(dataplane!, 'utf8'), /^\/\/ node_modules\/werift/m);
    assert.equal(
      seen(`const { RTCPeerConnection } = await import('${werift}'); console.log(typeof RTCPeerConnection)`),
      'function\n',
    );
  });

  test('of control reads prom-client, a file beside it, only when there are metrics to write', () => {
    const [control, library] = ['cryonet', 'prom-client'].map((name) => join(folder, `${name}.mjs`));
    const text = readFileSync(control!, 'utf8');
    assert.match(text, /import\("\.\/prom-client\.mjs"\)/);
    assert.doesNotMatch(text, /^\/\/ node_modules\/prom-client/m);
    const code = `const { default: { Registry } } = await import('${library}'); console.log(await new Registry().metrics())`;
    const said = execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
      encoding: 'utf8',
    });
    assert.equal(said.trim(), '');
  });

  test('reads Node’s HTTP, and the client in it, only where it is used', async () => {
    for (const [name, { text }] of await bundles)
      assert.doesNotMatch(text, /^import [^;]*"(node:)?http/m, name);
  });
});
