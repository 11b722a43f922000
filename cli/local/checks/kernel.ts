/** The kernel: its TUN device, who may use that, what it can, and its clock. */
import { type Check, ok, unknown, wrong } from './finding.ts';

const tun = '/dev/net/tun';
/** Documentation/admin-guide/devices.txt. */
const tunNumbers = '10:200';
/** Bits of capability.h. */
const netAdmin = 1n << 12n;

/** Since which version the kernel has what the packet engine uses, newest first. */
const features: readonly (readonly [version: string, lacking: string])[] = [
  ['6.2', 'UDP is not segmented on an interface (TUN_F_USO4): QUIC through a link costs more'],
  ['5.0', 'no UDP_GRO: packets come one by one, at less speed'],
  ['4.18', 'no UDP_SEGMENT: packets leave one by one, at less speed'],
  ['4.5', 'no SO_ATTACH_REUSEPORT_CBPF: no direct paths'],
];

const device: Check = ({ machine }) => {
  const numbers = machine.device(tun);
  const subject = 'device';
  if (numbers === undefined)
    return [wrong(subject, `there is no ${tun}: modprobe tun, or give the container --device ${tun}`)];
  if (numbers !== tunNumbers)
    return [
      wrong(
        subject,
        `${tun} has the numbers ${numbers}, not ${tunNumbers}: mknod ${tun} c 10 200, or --tun-device`,
      ),
    ];
  const why = machine.whyClosed(tun);
  if (why === undefined) return [ok(subject, `${tun} can be opened`)];
  if (why === 'ENODEV' || why === 'ENXIO')
    return [wrong(subject, 'the kernel has no TUN driver: modprobe tun')];
  if (machine.isRoot)
    return [
      wrong(
        subject,
        `root cannot open ${tun} (${why}): allow the control group character device ${tunNumbers} (DeviceAllow=, --device)`,
      ),
    ];
  return [
    unknown(subject, `${tun} is there, and not for this user (${why}), who need not have it: look as root`),
  ];
};

const rights: Check = ({ machine, report }) => {
  const subject = 'rights';
  const pid = report?.dataplane.pid;
  if (pid == null) {
    const own = capabilitiesIn(machine.read('/proc/self/status'));
    if (own !== undefined && (own & netAdmin) !== 0n)
      return [ok(subject, 'a node that this user starts can make interfaces')];
    const words = 'a node that this user starts can make no interfaces: start it as root or as a service';
    return [unknown(subject, words)];
  }
  const its = capabilitiesIn(machine.read(`/proc/${pid}/status`));
  if (its === undefined) return [unknown(subject, `process ${pid}, the dataplane, cannot be seen from here`)];
  return (its & netAdmin) === 0n
    ? [
        wrong(
          subject,
          `the dataplane, process ${pid}, has no CAP_NET_ADMIN: start it as root or as a service`,
        ),
      ]
    : [ok(subject, `the dataplane, process ${pid}, has CAP_NET_ADMIN`)];
};

const kernel: Check = ({ machine: { release } }) => {
  const lacking = features.filter(([since]) => isOlder(release, since)).map(([, words]) => words);
  return lacking.length === 0
    ? [
        ok(
          'kernel',
          `${release} has UDP_SEGMENT, UDP_GRO, SO_ATTACH_REUSEPORT_CBPF and TUN_F_USO4, by its version`,
        ),
      ]
    : [
        wrong(
          'kernel',
          `${release}, by its version, lacks something; a newer one has it: ${lacking.join('; ')}`,
        ),
      ];
};

const clock: Check = async ({ machine }) => {
  const ran = await machine.run('timedatectl', ['show', '-p', 'NTPSynchronized', '--value']);
  const answer = ran === 'missing' || !('out' in ran) ? '' : ran.out.trim();
  if (answer === 'yes') return [ok('clock', 'synchronized')];
  if (answer === 'no')
    return [
      wrong(
        'clock',
        'not synchronized: credentials of TURN servers may be refused; timedatectl set-ntp true, or a time server of your own',
      ),
    ];
  return [unknown('clock', 'nothing here says whether it is synchronized (timedatectl)')];
};

/** Capabilities in effect, proc_pid_status(5). */
function capabilitiesIn(status: ReturnType<Parameters<Check>[0]['machine']['read']>): bigint | undefined {
  const hex = 'text' in status ? /^CapEff:\s*([0-9a-f]+)$/m.exec(status.text)?.[1] : undefined;
  return hex === undefined ? undefined : BigInt(`0x${hex}`);
}

function isOlder(release: string, than: string): boolean {
  const [ours, theirs] = [release, than].map((text) =>
    text.split('.').map((part) => Number.parseInt(part, 10)),
  );
  const [major = 0, minor = 0] = ours!;
  return major < theirs![0]! || (major === theirs![0]! && minor < theirs![1]!);
}

export const kernelChecks: readonly Check[] = [device, rights, kernel, clock];
