import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommanderError } from 'commander';
import fc from 'fast-check';
import { type ControlConfig, readConfig } from '../control/config/config.ts';
import { defaultWorkers, options, optionTable } from '../control/config/options.ts';
import { controlProgram } from '../control/config/program.ts';
import { environmentName } from '../protocol/command-line.ts';
import { requests } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import { rows, switches } from './option-rows.ts';
import { refusal, tomlFile, type Variables } from './refusal.ts';
import { temporaryFolder } from './socket-pair.ts';

/** Options that name files: `token`, `token-file`, `tls-*` and `config` have tests of their own. */
const files = ['token', 'token-file', 'tls-ca', 'tls-cert', 'tls-key', 'config'];

function configOf(argv: readonly string[], env: Variables = {}, uid = 0): ControlConfig {
  return readConfig(['--token', 'secret', ...argv, 'node'], env, uid);
}

test('every option has a row in these tests', () => {
  const tested = [...rows, ...switches].map(({ flag }) => flag).concat(files);
  assert.deepEqual(tested.sort(), optionTable.map(({ flag }) => flag).sort());
});

test('the options that a reload changes are those that the shell of control applies, and none that its dataplane is told at the start', () => {
  const told = new Set(Object.keys(requests.hello.params.shape.config.shape));
  const live = Object.entries(options).flatMap(([field, { changes }]) => (changes === 'live' ? [field] : []));
  const intervals = ['checkInterval', 'checkTimeout', 'sendAliveInterval'];
  assert.deepEqual(live, [
    'wsServers',
    'token',
    'iceServers',
    ...intervals,
    'addresses',
    'allow',
    'deny',
    'peers',
    'operators',
    'logLevel',
  ]);
  assert.ok(!live.some((field) => told.has(field)));
});

test('help shows every option with its variable and its default', () => {
  const help = controlProgram().helpInformation().replace(/\s+/g, ' ');
  for (const { flag, value, fallback } of optionTable) {
    assert.ok(help.includes(`--${flag}${value === undefined ? '' : ` <${value}>`}`), flag);
    assert.ok(
      help.includes(
        `(env: ${environmentName(flag)}${fallback === undefined ? '' : `; default ${fallback}`})`,
      ),
      flag,
    );
  }
});

test('the names, variables and defaults of the compatibility contract', () => {
  const contract = {
    listen: '127.0.0.1:2333',
    'ws-servers': undefined,
    token: undefined,
    'ice-servers': undefined,
    'check-interval': '10s',
    'check-timeout': '1m',
    'send-alive-interval': '20s',
    'interface-prefix': 'cn',
    'auto-interface-name': undefined,
    'enable-packet-information': undefined,
    'buf-size': '1504',
  };
  for (const [flag, fallback] of Object.entries(contract)) {
    assert.equal(optionTable.find((row) => row.flag === flag)?.fallback, fallback, flag);
    assert.match(environmentName(flag), /^[A-Z_]+$/);
  }
  assert.equal(environmentName('send-alive-interval'), 'SEND_ALIVE_INTERVAL');
});

for (const { flag, field, initial, good, bad } of rows) {
  const variable = environmentName(flag);

  test(`--${flag}: flag, then environment, then file, then default`, (context) => {
    const [[first, one], [second, two], [third, three]] = good;
    const config = tomlFile(context, `${flag} = ${JSON.stringify(third)}\n`);
    assert.deepEqual(configOf([])[field], initial);
    assert.deepEqual(configOf(['--config', config])[field], three);
    assert.deepEqual(configOf([], { CONFIG: config })[field], three);
    assert.deepEqual(configOf(['--config', config], { [variable]: second })[field], two);
    assert.deepEqual(configOf([`--${flag}`, first, '--config', config], { [variable]: second })[field], one);
    const own = `CRYONET_${variable}`;
    assert.deepEqual(configOf([], { [variable]: second, [own]: first })[field], one, 'CRYONET_ wins');
    assert.deepEqual(configOf([], { [variable]: second, [own]: '' })[field], two, 'unless it is empty');
    assert.deepEqual(configOf([`--${flag}`, third], { [own]: first })[field], three);
    assert.deepEqual(configOf([`--${flag}=${first}`])[field], one);
    assert.deepEqual(configOf([], { [variable]: '' })[field], initial, 'an empty variable is none');
  });

  if (bad.length > 0) {
    test(`--${flag}: a bad value is refused by one line with the source, what it takes and, unless secret, the value`, (context) => {
      const { takes } = optionTable.find((row) => row.flag === flag)!;
      for (const text of bad) {
        const shown = flag === 'ws-servers' || flag === 'ice-servers' ? 'this value' : JSON.stringify(text);
        const tail = `takes ${takes}, not ${shown}`;
        const config = tomlFile(context, `${flag} = ${JSON.stringify(text)}\n`);
        assert.equal(refusal(['--token', 's', `--${flag}=${text}`, 'n']), `--${flag} ${tail}`);
        for (const name of [variable, `CRYONET_${variable}`]) {
          assert.equal(
            refusal(['--token', 's', 'n'], { [name]: text }),
            `the environment variable ${name} ${tail}`,
          );
        }
        assert.equal(refusal(['--token', 's', '--config', config, 'n']), `${flag} in ${config} ${tail}`);
      }
    });
  }
}

for (const { flag, field, on } of switches) {
  test(`--${flag}: off, unless the flag, the variable or the file says on`, (context) => {
    const variable = environmentName(flag);
    const file = tomlFile(context, `${flag} = true\n`);
    assert.equal(configOf([])[field], !on);
    assert.equal(configOf([`--${flag}`])[field], on);
    assert.equal(configOf(['--config', file])[field], on);
    assert.equal(configOf(['--config', file], { [variable]: 'no' })[field], !on);
    assert.equal(configOf([`--${flag}`], { [variable]: 'false' })[field], on);
    for (const yes of ['true', '1', 'yes', 'on']) assert.equal(configOf([], { [variable]: yes })[field], on);
    for (const no of ['false', '0', 'no', 'off', ''])
      assert.equal(configOf([], { [variable]: no })[field], !on);
    assert.equal(
      refusal(['--token', 's', 'n'], { [variable]: 'maybe' }),
      `the environment variable ${variable} takes true or false, not "maybe"`,
    );
  });
}

test('the ID comes from the argument, the variable or the file', (context) => {
  const config = tomlFile(context, 'id = "from-file"\ntoken = "t"\n');
  assert.equal(readConfig(['--config', config], {}, 0).id, 'from-file');
  assert.equal(readConfig(['--config', config], { ID: 'from-env' }, 0).id, 'from-env');
  assert.equal(readConfig(['--config', config, 'from-argument'], { ID: 'from-env' }, 0).id, 'from-argument');
  assert.equal(refusal(['--token', 's']), 'the node needs an ID: cryonet --token <TOKEN> <ID>, or set ID');
  for (const id of ['a b', 'ä', 'x'.repeat(65), 'a/b', '*', '']) {
    assert.equal(
      refusal(['--token', 's', id]),
      `<ID> takes 1 to 64 letters, digits, - or _, not ${JSON.stringify(id)}`,
    );
  }
  assert.equal(
    refusal(['--token', 's'], { ID: 'a.b' }),
    'the environment variable ID takes 1 to 64 letters, digits, - or _, not "a.b"',
  );
  assert.equal(readConfig(['--token', 's'], { ID: 'theirs', CRYONET_ID: 'ours' }, 0).id, 'ours');
});

test('certificate and key are read, and go together', (context) => {
  const folder = temporaryFolder(context);
  const [cert, key, missing] = ['cert', 'key', 'missing'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(cert, 'CERT');
  writeFileSync(key, 'KEY');
  assert.equal(configOf([]).tls, null);
  assert.deepEqual(configOf(['--tls-cert', cert, '--tls-key', key]).tls, { cert: 'CERT', key: 'KEY' });
  assert.equal(
    refusal(['--token', 's', '--tls-cert', cert, 'n']),
    '--tls-cert and --tls-key go together, and there is only --tls-cert',
  );
  assert.equal(
    refusal(['--token', 's', 'n'], { TLS_KEY: key }),
    '--tls-cert and --tls-key go together, and there is only the environment variable TLS_KEY',
  );
  assert.equal(
    refusal(['--token', 's', '--tls-cert', missing, '--tls-key', key, 'n']),
    `--tls-cert takes a readable PEM file, not ${JSON.stringify(missing)}`,
  );
});

test('the MTU follows the path, unless it is a number, and never exceeds the buffer less the packet information', () => {
  const mtuOf = (...argv: string[]) => {
    const { mtu, autoMtu } = configOf(argv);
    return { mtu, autoMtu };
  };
  assert.deepEqual(mtuOf(), { mtu: 1500, autoMtu: true });
  assert.deepEqual(mtuOf('--mtu', 'auto', '--buf-size', '9004'), { mtu: 9000, autoMtu: true });
  assert.deepEqual(mtuOf('--buf-size', '1284'), { mtu: 1280, autoMtu: true });
  assert.deepEqual(mtuOf('--buf-size', '65535'), { mtu: 65_531, autoMtu: true });
  assert.deepEqual(mtuOf('--mtu', '1500'), { mtu: 1500, autoMtu: false });
  assert.deepEqual(mtuOf('--buf-size', '9000', '--mtu', '8996'), { mtu: 8996, autoMtu: false });
  const { mtu, autoMtu } = configOf(['--mtu', 'auto'], { MTU: '1400' });
  assert.deepEqual({ mtu, autoMtu }, { mtu: 1500, autoMtu: true });
  assert.match(
    refusal(['--token', 's', '--buf-size', '1400', '--mtu', '1397', 'n']),
    /^--mtu takes .*buf-size − 4, not "1397"$/,
  );
});

test('half of the processors work each way, one at least and four at most, unless a number is given', () => {
  const workers = [1, 2, 3, 4, 5, 7, 8, 9, 128].map((processors) => defaultWorkers(processors));
  assert.deepEqual(workers, [1, 1, 1, 2, 2, 3, 4, 4, 4]);
  assert.equal(configOf(['--workers', 'auto'], { WORKERS: '9' }).workers, configOf([]).workers);
  assert.equal(configOf(['--workers', '1']).workers, 1);
});

test('no mark is 0, given or not', () => {
  for (const none of ['0', '0x0', '0x00000000']) assert.equal(configOf(['--fwmark', none]).fwmark, 0);
});

test('a list may be given by repeating its flag', () => {
  assert.deepEqual(configOf(['--allow', 'a', '--allow', 'b,c']).allow, ['a', 'b', 'c']);
  assert.deepEqual(configOf(['--deny', 'x*', '--deny', 'y']).deny, ['x*', 'y']);
  assert.deepEqual(configOf(['--ws-servers', 'ws://a', '--ws-servers', 'ws://b']).wsServers, [
    'ws://a/',
    'ws://b/',
  ]);
});

test('a file may use the types of TOML', (context) => {
  const config = tomlFile(
    context,
    'buf-size = 2000\nallow = ["a", "b"]\nudp-port = 5\ncheck-interval = "2s"\nfwmark = 0xca6c\n',
  );
  const { bufSize, allow, udpPort, checkInterval, fwmark } = configOf(['--config', config]);
  assert.deepEqual(
    { bufSize, allow, udpPort, checkInterval, fwmark },
    { bufSize: 2000, allow: ['a', 'b'], udpPort: 5, checkInterval: 2000, fwmark: 0xca6c },
  );
});

test('a configuration file that cannot be used is refused by one line', (context) => {
  const with_ = (text: string) => {
    const path = tomlFile(context, text);
    return { path, line: refusal(['--token', 's', '--config', path, 'n']) };
  };
  assert.match(
    refusal(['--token', 's', '--config', '/nonexistent/x', 'n']),
    /^--config \/nonexistent\/x cannot be used: ENOENT/,
  );
  const unknown = with_('listn = "x"\n');
  assert.equal(unknown.line, `${unknown.path}:1:1: no option "listn" (listen?)`);
  for (const text of ['listen =', 'listen = "a\n', '[', 'a = 1\na = 2\n', '\0']) {
    const { path, line } = with_(text);
    assert.match(line, /^\/.*\.toml:\d:\d+: Invalid TOML document: /);
    assert.ok(line.startsWith(`${path}:`), line);
  }
  for (const text of [
    'state-dir = { a = 1 }',
    '[token]\na = 1',
    'allow = [["a"]]',
    'state-dir = 2024-01-01',
  ]) {
    const { path, line } = with_(text);
    assert.match(line.slice(path.length), /^:1:\d: (state-dir|token|allow) takes /, line);
  }
});

test('default folders: of root, of a service, of a user', () => {
  const folders = ({ stateDirectory, runtimeDirectory }: ControlConfig) => [stateDirectory, runtimeDirectory];
  assert.deepEqual(folders(configOf([])), ['/var/lib/cryonet', '/run/cryonet']);
  assert.deepEqual(folders(configOf([], { STATE_DIRECTORY: '/s', RUNTIME_DIRECTORY: '/r:/q' }, 999)), [
    '/s',
    '/r',
  ]);
  assert.deepEqual(folders(configOf([], { XDG_STATE_HOME: '/x', XDG_RUNTIME_DIR: '/run/user/7' }, 7)), [
    '/x/cryonet',
    '/run/user/7/cryonet',
  ]);
  assert.equal(configOf([], {}, 7).runtimeDirectory, '/tmp/cryonet-7');
});

test('whatever is given: a configuration or one line, in which no secret is', (context) => {
  const secret = 'S3CRET-token';
  const credential = 'CR3DENTIAL';
  const ice = `turn:t.example|user|${credential}`;
  const flags = optionTable.map(({ flag }) => `--${flag}`);
  const values = [
    '1s',
    'x',
    '',
    '-1',
    '1400',
    'auto',
    '0x10',
    'a,b',
    'ws://a',
    'stun:s',
    'true',
    '/nonexistent',
    '[::1]:1',
    '\u0000',
    'ü',
    '-',
    '-h1',
  ];
  const given = [
    `--token=${secret}`,
    `--tokn=${secret}`,
    `--ice-servers=${ice}`,
    `--ice-servers=${ice},x`,
    `--ice-server=${ice}`,
    `--ice-servers=${ice}|x`,
  ];
  const argument = fc.oneof(
    fc.constantFrom(...flags),
    fc.constantFrom(...values),
    fc.constantFrom(...given),
    fc.string({ maxLength: 12 }),
  );
  const variable = fc.oneof(fc.constantFrom(...values), fc.string({ maxLength: 12 }));
  const env = fc.dictionary(
    fc.constantFrom(
      'ID',
      ...optionTable.map(({ flag }) => environmentName(flag)).filter((name) => name !== 'CONFIG'),
    ),
    variable,
    { maxKeys: 4 },
  );
  const entry = fc.oneof(
    fc.constantFrom(
      `token = "${secret}"`,
      `token = "${secret}`,
      `token = ["${secret}", 5]`,
      `tokn = "${secret}"`,
      `ice-servers = ["${ice}", "x"]`,
      `ice-servers = "${ice}`,
      'id = "n"',
    ),
    fc
      .tuple(fc.constantFrom(...optionTable.map(({ flag }) => flag)), fc.jsonValue())
      .map(([flag, value]) => `${flag} = ${JSON.stringify(value)}`),
    fc.string({ maxLength: 20 }),
  );
  const path = join(temporaryFolder(context), 'random.toml');
  const secretEnv = fc.constantFrom<Variables>(
    {},
    { TOKEN: secret },
    { ICE_SERVERS: `${ice},x` },
    { ICE_SERVERS: ice },
  );
  fc.assert(
    fc.property(
      fc.array(argument, { maxLength: 7 }),
      env,
      secretEnv,
      fc.array(entry, { maxLength: 3 }),
      fc.boolean(),
      (argv, env, more, entries, useFile) => {
        if (argv.some((each) => /^(-h|--help|-V|--version)/.test(each))) return;
        writeFileSync(path, entries.join('\n'));
        try {
          const config = readConfig(useFile ? ['--config', path, ...argv] : argv, { ...env, ...more }, 1000);
          assert.match(config.id, /^[A-Za-z0-9_-]{1,64}$/);
          assert.ok(config.tokens.every((each) => each !== ''));
        } catch (error) {
          assert.ok(error instanceof CryonetError || error instanceof CommanderError, String(error));
          const line = reasonOf(error);
          assert.doesNotMatch(line, /\n/);
          assert.ok(line.length > 0);
          assert.ok(!line.includes(secret) && !line.includes(credential), line);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('an ICE server over another transport than UDP is refused by what it is, without its credentials', () => {
  for (const [server, reason] of [
    [
      'turn:t?transport=tcp|u|hidden',
      /^--ice-servers has a TURN server over another transport than UDP, [^|]*none$/,
    ],
    ['turns:t|u|hidden', /^--ice-servers has a server by turns:, over TLS, [^|]*over UDP$/],
    ['stun:s,stuns:t', /^--ice-servers has a server by stuns:, over TLS, .*over UDP$/],
  ] as const) {
    const message = refusal(['--token', 's', '--ice-servers', server, 'n']);
    assert.match(message, reason);
    assert.doesNotMatch(message, /hidden/);
  }
});

test('a CA file is read at the start, or refused on one line', (context) => {
  assert.equal(configOf([]).tlsCa, null);
  const path = join(temporaryFolder(context), 'ca.pem');
  writeFileSync(path, 'not one');
  assert.match(
    refusal(['--token', 's', '--tls-ca', path, 'n']),
    /^--tls-ca takes a file of CA certificates in PEM: \S+ has no certificate$/,
  );
  assert.match(
    refusal(['--token', 's', 'n'], { TLS_CA: join(path, 'x') }),
    /^the environment variable TLS_CA takes a file of CA certificates in PEM: \S+ cannot be read: ENOTDIR$/,
  );
});

test('of the environment only what names proxies is kept for connections', () => {
  const env = { HTTPS_PROXY: 'http://p', no_proxy: 'x', OTHER_PROXY: 'y', HOME: '/root' };
  assert.deepEqual(configOf([], env).proxies, { HTTPS_PROXY: 'http://p', no_proxy: 'x' });
});
