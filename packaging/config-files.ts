/** `/etc/cryonet/config.toml` and `/etc/default/cryonet`: the option table, commented out. */
import { optionTable } from '../control/config/options.ts';
import { environmentName } from '../protocol/command-line.ts';

const width = 100;

/** Not in either file: the units set these, or what they need is somewhere else. */
export const notConfigured = [
  ...['config', 'service', 'dataplane-socket', 'state-dir', 'runtime-dir'],
  ...['token', 'token-file'],
];

/** Not for control: the dataplane reads variables alone. */
export const dataplaneOnly = ['webrtc'];

/** What an option without a default could look like. */
const examples: Readonly<Record<string, string | number | readonly string[]>> = {
  'ws-servers': ['wss://berlin.example.net', 'ws://lima.example.net:2333'],
  'ice-servers': ['stun:stun.example.net', 'turn:turn.example.net|osaka|secret'],
  'udp-port': 2333,
  allow: ['berlin', 'edge-*'],
  deny: ['guest-*'],
  peer: ['berlin=7tY5hgqrMC2CXBxt1a-q-eO3sFdkBsZ0ldaN94X0WWM'],
  operators: ['ed25519:7OslUwsDVPAIhFXs5q5fGQEP5321HLaAcLwxtdDd--I'],
  addresses: ['10.20.2.1/32', 'fd20:2::1/128'],
  interfaces: ['eth*', 'wl*'],
  'exclude-interfaces': ['docker*', 'virbr*'],
  'tls-ca': '/etc/cryonet/ca.pem',
  'tls-cert': '/etc/cryonet/tls.crt',
  'tls-key': '/etc/cryonet/tls.key',
  'metrics-listen': '127.0.0.1:9342',
};

/** What has to be set for others to join, and how: the default is for who only joins. */
const remarks: Readonly<Record<string, string>> = {
  listen: '. With the default no other machine can join through this one; for that: "[::]:2333"',
};

interface Setting {
  readonly flag: string;
  readonly help: string;
  readonly value: string | number | boolean | readonly string[];
  readonly isDefault: boolean;
}

const id: Setting = {
  flag: 'id',
  help: 'ID of this node: letters, digits, - and _; the host name unless set',
  value: 'osaka',
  isDefault: false,
};

export function configToml(): string {
  return paragraphs(
    [
      'Configuration of cryonet(1), in TOML. A reload of cryonet.service, or a restart, reads it again.',
      'Then config.d/*.toml beside it, by order of name; the last file that gives an option counts.',
      'Variables in /etc/default/cryonet win over it, and are the place of what both services read.',
      'The token is not here: it is in /etc/cryonet/token, mode 0600, the same on all nodes.',
    ],
    settings([...notConfigured, ...dataplaneOnly]),
    ({ flag, value }) => `${flag} = ${JSON.stringify(value).replaceAll('","', '", "')}`,
  );
}

export function defaultFile(): string {
  return paragraphs(
    [
      'Variables of cryonet.service and cryonet-dataplane.service; systemd.exec(5), EnvironmentFile=.',
      'They win over /etc/cryonet/config.toml. The dataplane reads WEBRTC, LOG_LEVEL and LOG_FORMAT.',
      'Each may have CRYONET_ before its name, and then wins over the bare one.',
    ],
    settings(notConfigured),
    ({ flag, value }) => `${environmentName(flag)}=${quoted([value].flat().join(','))}`,
  );
}

function settings(without: readonly string[]): Setting[] {
  const rows = optionTable.filter(({ flag }) => !without.includes(flag));
  return [id, ...rows.map(settingOf)];
}

function settingOf({ flag, help: text, value, fallback }: (typeof optionTable)[number]): Setting {
  const help = `${text}${remarks[flag] ?? ''}`;
  if (value === undefined) return { flag, help, value: false, isDefault: true };
  if (fallback !== undefined)
    return { flag, help, value: /^\d+$/.test(fallback) ? Number(fallback) : fallback, isDefault: true };
  const example = examples[flag];
  if (example === undefined)
    throw new Error(`an example for --${flag} is missing in packaging/config-files.ts`);
  return { flag, help, value: example, isDefault: false };
}

function paragraphs(
  title: readonly string[],
  all: readonly Setting[],
  line: (setting: Setting) => string,
): string {
  const texts = all.map((setting) => {
    const help = setting.isDefault ? setting.help : `${setting.help}; for example:`;
    return `${comment(help)}\n#${line(setting)}\n`;
  });
  return [`${title.map((text) => `# ${text}\n`).join('')}`, ...texts].join('\n');
}

function comment(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    if (lines.at(-1)!.length + word.length > width - 3) lines.push('');
    lines[lines.length - 1] += ` ${word}`;
  }
  return lines.map((line) => `#${line}`).join('\n');
}

/** systemd.exec(5): within double quotes a backslash escapes. */
function quoted(text: string): string {
  return /^[\w.:/,=-]*$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}
