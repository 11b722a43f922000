/**
 * Log lines for the journal by its own protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): a line for people, and each of
 * its fields by itself, so that `journalctl CRYONET_PEER=rome` finds what is about one peer.
 */
import type { LogLevel } from './log-level.ts';
import type { Line } from './log-quota.ts';

/** Bytes of the longest entry that is sent so; longer ones go by standard error. */
export const longestEntry = 8000;

interface Explained {
  /** `MESSAGE_ID=`: 128 random bits, which stay for good. */
  readonly id: string;
  /** The event of the same, as those who watch the node are told. */
  readonly event?: string;
  /** For the journal's catalog; `@CRYONET_PEER@` stands for the field. */
  readonly subject: string;
  readonly text: string;
}

/** What `journalctl -x` explains, by message. */
export const explained: Readonly<Record<string, Explained>> = {
  'node started': {
    id: '2f4432a65adb4832be828876db0f96c0',
    event: 'node.started',
    subject: 'A node of the mesh has started',
    text: 'Control of the node @CRYONET_ID@ runs. Links that the dataplane had stay as they were.',
  },
  'link up': {
    id: 'f26209fe400540faa39bd797b83d2e3e',
    event: 'link.up',
    subject: 'The link with @CRYONET_PEER@ is up',
    text: 'Packets pass by the interface @CRYONET_INTERFACE@, which has carrier.',
  },
  'link adopted': {
    id: 'dc4fce736c914d4996307652225f8dac',
    event: 'link.adopted',
    subject: 'The link with @CRYONET_PEER@ was up already',
    text: 'A control that has just started found it with its dataplane. No packet was lost.',
  },
  'link lost': {
    id: '6a88493780d1488598aefc8139c93e7a',
    event: 'link.lost',
    subject: 'The link with @CRYONET_PEER@ is lost',
    text: 'No packets pass, and its interface has no carrier. It is tried again by itself;\n"cryoc status @CRYONET_PEER@" says what is known of it.',
  },
  'denied by the peer': {
    id: 'aecc7e60e6734e4686f7742397d3cc63',
    event: 'policy.denied',
    subject: '@CRYONET_PEER@ does not want a link with this node',
    text: 'The policy of that node, its options --allow and --deny, denies this one.',
  },
  warning: {
    id: 'd7513536c7c447f7804fe988fc771e91',
    subject: 'Something of this node is to be mended: @CRYONET_ABOUT@',
    text: 'The message says what is wrong and what to do. "cryoc status" lists it until it is over,\nwhich is logged as well; "cryoc doctor" looks at the whole machine.',
  },
  'warning is over': {
    id: '84a958398f404086b444ae94736f4094',
    subject: 'What was to be mended is: @CRYONET_ABOUT@',
    text: 'The warning of that name is over.',
  },
  reloaded: {
    id: '8142f5d2e23a423186dbe550be734c0b',
    event: 'reload.done',
    subject: 'The configuration and the known identities were read again',
    text: 'Options of which another value counts now are in CRYONET_CHANGED.',
  },
  'dataplane lost': {
    id: '9c7cf0b2720e4737bccde13573b66291',
    event: 'dataplane.down',
    subject: 'Control has lost its dataplane',
    text: 'No link can be made until it is back. See "systemctl status cryonet-dataplane".',
  },
};

/** Priorities of the journal, sd-daemon(3). */
export const priority: Readonly<Record<LogLevel, number>> = { debug: 7, info: 6, warn: 4, error: 3 };

/** `text`: message and fields for people. A value is one line, in whatever what others say has none. */
export function journalEntry({ level, message, fields }: Line, program: string, text: string): string {
  const { id, event } = explained[message] ?? {};
  const entry: [name: string, value: unknown][] = [
    ['MESSAGE', text],
    ['PRIORITY', priority[level]],
    ['SYSLOG_IDENTIFIER', program],
    ['MESSAGE_ID', id],
    ['CRYONET_EVENT', event],
    ...Object.entries(fields).map(([name, value]): [string, unknown] => [fieldName(name), value]),
  ];
  return entry
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${oneLine(value)}\n`)
    .join('');
}

/** `CRYONET_LEFT_OUT` of `leftOut`. */
function fieldName(name: string): string {
  return `CRYONET_${name.replaceAll(/[A-Z]/g, '_$&').replaceAll(/\W/g, '_').toUpperCase()}`.slice(0, 64);
}

function oneLine(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these end a field, or steer a terminal.
  return text.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ');
}

/** The catalog, as journalctl --update-catalog reads it. */
export function journalCatalog(): string {
  return Object.values(explained)
    .map(({ id, subject, text }) => `-- ${id}\nSubject: ${subject}\nDefined-By: cryonet\n\n${text}\n`)
    .join('\n');
}
