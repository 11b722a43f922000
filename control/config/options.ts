/**
 * The options of `cryonet`, one row each. Parsing (`config.ts`), `--help` (`program.ts`), the configuration files and the
 * completions of the packages are made from this table; README and cryonet(1) are compared with it. The key of a row is
 * the field of the configuration that has the value.
 */
import { availableParallelism } from 'node:os';
import { logFormats } from '../../protocol/log.ts';
import { logLevels } from '../../protocol/log-level.ts';
import { greatestMtu, leastMtu, packetInformationBytes } from '../../protocol/mtu.ts';
import { defaultRuntimeDirectory, defaultStateDirectory, type Environment } from '../../protocol/paths.ts';
import { webrtcEngines } from '../../protocol/webrtc-engine.ts';
import * as codec from './codecs.ts';

export interface OptionRow<T = unknown> extends codec.Codec<T> {
  /** Its name: after `--` on the command line, and in the configuration file. The variable's follows from it. */
  readonly flag: string;
  /** Placeholder of the value; missing for a switch. */
  readonly value?: string;
  /** Whether a running node can take another value (`live`), or only its next start. */
  readonly changes: 'live' | 'at restart';
  readonly help: string;
  /** The text that stands for one that is not given. */
  readonly fallback?: string;
  /** The value where none is given, if that depends on who runs the program. */
  readonly byDefault?: (env: Environment, uid: number) => T;
}

type Rest<T> = Pick<OptionRow<T>, 'help' | 'fallback' | 'byDefault'>;

/** `written`: the name and the placeholder of the value, as in `listen <ADDRESS>`. */
function rowsThat(changes: OptionRow['changes']) {
  return <T>(written: string, type: codec.Codec<T>, rest: Rest<T>): OptionRow<T> => {
    const [flag, value] = written.split(' ');
    return { flag: flag!, ...(value && { value: value.slice(1, -1) }), changes, ...type, ...rest };
  };
}

const live = rowsThat('live');
const fixed = rowsThat('at restart');

/** The default of `workers`: half of the processors for each direction, from 1 to 4. */
export function defaultWorkers(processors: number): number {
  return Math.min(4, Math.max(1, Math.floor(processors / 2)));
}

/** Bytes of the largest packet, with its packet information: bounds of `buf-size`. */
const bufSizes = [leastMtu + packetInformationBytes, greatestMtu + packetInformationBytes] as const;

/** The ID of the node: an argument, and otherwise like an option. */
export const argument = fixed(
  'id <ID>',
  codec.optional(codec.matching(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 letters, digits, - or _')),
  { help: 'ID of this node: letters, digits, - and _' },
);

export const options = {
  listen: fixed('listen <ADDRESS>', codec.hostPort, {
    fallback: '127.0.0.1:2333',
    help: 'bootstrap WebSocket; put TLS in front of it, or give --tls-cert and --tls-key',
  }),
  wsServers: live('ws-servers <URLS>', codec.webSocketUrls, { help: 'bootstrap nodes to join through' }),
  token: live('token <TOKEN>', codec.optional({ ...codec.text('the secret of the mesh'), secret: true }), {
    help: 'mesh secret, the same on all nodes',
  }),
  tokenFile: fixed('token-file <FILE>', codec.optional(codec.text('a readable file')), {
    help: 'file that holds the token',
  }),
  iceServers: live('ice-servers <SERVERS>', codec.iceServers, {
    help: 'STUN and TURN servers, spoken to over UDP: stun:host[:port], turn:host[:port]|user|credential, or with |user|secret:SECRET credentials made of a secret',
  }),
  checkInterval: live('check-interval <TIME>', codec.duration, {
    fallback: '10s',
    help: 'longest pause between two tries of a link',
  }),
  checkTimeout: live('check-timeout <TIME>', codec.duration, {
    fallback: '1m',
    help: 'forget a peer not heard of for this long',
  }),
  sendAliveInterval: live('send-alive-interval <TIME>', codec.duration, {
    fallback: '20s',
    help: 'pause between membership announcements',
  }),
  webSocketPathLimit: fixed('websocket-path-limit <MBIT>', codec.integer('a number of Mbit/s', 0, 1000), {
    fallback: '10',
    help: 'most that a link carries by the bootstrap WebSocket, in Mbit/s, where there is no UDP; 0: no link goes that way',
  }),
  interfacePrefix: fixed(
    'interface-prefix <PREFIX>',
    codec.matching(/^[A-Za-z0-9_-]{1,8}$/, '1 to 8 letters, digits, - or _'),
    { fallback: 'cn', help: 'an interface is called <PREFIX><ID of the peer>' },
  ),
  autoInterfaceName: fixed('auto-interface-name', codec.toggle(), {
    help: 'let the kernel name interfaces (tun0, tun1, …)',
  }),
  packetInformation: fixed('enable-packet-information', codec.toggle(), {
    help: 'carry the 4-byte packet information header end to end (for MPLS)',
  }),
  bufSize: fixed('buf-size <BYTES>', codec.integer('a number of bytes', ...bufSizes), {
    fallback: '1504',
    help: 'largest packet, packet information included',
  }),
  mtu: fixed(
    'mtu <BYTES>',
    codec.either(
      codec.word('auto', 'auto'),
      codec.integer('a number of bytes', leastMtu, greatestMtu, `${leastMtu} to buf-size − 4`),
    ),
    {
      fallback: 'auto',
      help: 'MTU of the interfaces; auto starts at 1280 and follows what the path carries, up to buf-size − 4: for jumbo paths give a larger --buf-size',
    },
  ),
  udpPort: fixed('udp-port <PORT>', codec.optional(codec.integer('a port', 1, 65_535)), {
    help: 'UDP port of the node (default: 2333, or any where that is taken)',
  }),
  fwmark: fixed('fwmark <MARK>', codec.mark, {
    fallback: '0',
    help: 'mark (SO_MARK) on the packets of the node, for policy routing: UDP, and the bootstrap connections that it makes; 0 is none',
  }),
  dscp: fixed('dscp <DSCP>', codec.either(codec.word('copy', 'copy'), codec.integer('a number', 0, 63)), {
    fallback: '0',
    help: 'DSCP of the packets of the direct path: a number, or copy for that of each packet inside',
  }),
  addresses: live('addresses <ADDRESSES>', codec.addresses, {
    help: 'addresses of this node on every interface of a peer, such as 10.20.2.1/32',
  }),
  interfaces: fixed('interfaces <GLOBS>', codec.interfaceGlobs, {
    help: 'network interfaces by which peers may reach this node (default: all; tunnels and bridges last)',
  }),
  excludeInterfaces: fixed('exclude-interfaces <GLOBS>', codec.interfaceGlobs, {
    help: 'network interfaces that links never use; wins over --interfaces',
  }),
  direct: fixed('no-direct', codec.toggle(false), {
    help: 'carry packets by datachannels alone, without the direct path',
  }),
  workers: fixed(
    'workers <N>',
    codec.either(
      codec.word('auto', defaultWorkers(availableParallelism())),
      codec.integer('a number', 1, 16),
    ),
    {
      fallback: 'auto',
      help: 'threads each way for the direct path; auto is half of the processors, from 1 to 4',
    },
  ),
  segmentation: fixed(
    'segmentation <WHEN>',
    codec.either(codec.word('auto', true), codec.word('off', false)),
    {
      fallback: 'auto',
      help: 'send packets of the direct path together (UDP_SEGMENT); auto: but where they do not arrive',
    },
  ),
  allow: live('allow <GLOB>', codec.idGlobs, { help: 'link only with peers whose ID matches; repeatable' }),
  deny: live('deny <GLOB>', codec.idGlobs, {
    help: 'never link with peers whose ID matches; repeatable, wins over --allow',
  }),
  peers: live('peer <ID=KEY>', codec.identities, {
    help: 'identity key of a peer or its fingerprint, known ahead: no other key counts for its ID; repeatable',
  }),
  operators: live('operators <KEYS>', codec.operatorKeys, {
    help: 'operator keys whose statements count: which nodes are accepted, revoked, forgotten in the whole mesh',
  }),
  tlsCa: fixed('tls-ca <FILE>', codec.optional(codec.certificates), {
    help: 'CAs, instead of the system’s, that vouch for wss:// servers',
  }),
  tlsCert: fixed('tls-cert <FILE>', codec.optional(codec.contentOf('a readable PEM file')), {
    help: 'certificate chain for --listen',
  }),
  tlsKey: fixed('tls-key <FILE>', codec.optional(codec.contentOf('a readable PEM file')), {
    help: 'private key for --listen',
  }),
  webrtc: fixed('webrtc <ENGINE>', codec.oneOf(webrtcEngines), {
    fallback: 'node-datachannel',
    help: 'WebRTC engine of the dataplane',
  }),
  dataplaneSocket: fixed('dataplane-socket <SOCKET>', codec.optional(codec.path('a path')), {
    help: 'use the dataplane that serves this socket instead of starting one',
  }),
  stateDirectory: fixed('state-dir <DIR>', codec.path('a folder'), {
    byDefault: defaultStateDirectory,
    help: 'identity key and known identities (default: /var/lib/cryonet for root)',
  }),
  runtimeDirectory: fixed('runtime-dir <DIR>', codec.path('a folder'), {
    byDefault: defaultRuntimeDirectory,
    help: 'control.sock and dataplane.sock (default: /run/cryonet for root)',
  }),
  service: fixed('service', codec.toggle(), {
    help: 'run under a service manager: without an ID take the host name, without a token wait for /etc/cryonet/token',
  }),
  config: fixed('config <FILE>', codec.optional(codec.text('a readable TOML file')), {
    help: 'file of options, named as here without the dashes',
  }),
  metricsListen: fixed('metrics-listen <ADDRESS>', codec.optional(codec.hostPort), {
    help: 'metrics for Prometheus, at http://<ADDRESS>/metrics; :<PORT> is loopback alone',
  }),
  logLevel: live('log-level <LEVEL>', codec.oneOf(logLevels), {
    fallback: 'info',
    help: 'least level that is logged',
  }),
  logFormat: fixed('log-format <FORMAT>', codec.oneOf(logFormats), {
    fallback: 'auto',
    help: 'auto is entries of the journal, or json, under systemd, text elsewhere',
  }),
};

export const optionTable: readonly OptionRow[] = Object.values(options);

/** The value of each option, by field. */
export type OptionValues = {
  readonly [Field in keyof typeof options]: (typeof options)[Field] extends OptionRow<infer T> ? T : never;
};
