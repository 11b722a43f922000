/** Other programs that configure interfaces, and may take those of links for theirs. */
import { type Check, ok, unknown, wrong } from './finding.ts';

/** State files of systemd-networkd, one for each interface by its index. */
const networkdLinks = '/run/systemd/netif/links';

const networkd: Check = ({ machine, report }) => {
  const subject = 'networkd';
  if (machine.list(networkdLinks) === undefined) return [ok(subject, 'does not run')];
  const managed = devicesOf(report).filter(({ index }) => {
    const state = machine.read(`${networkdLinks}/${index}`);
    const words = 'text' in state ? /^ADMIN_STATE=(.*)$/m.exec(state.text)?.[1] : undefined;
    return words !== undefined && words !== 'unmanaged';
  });
  return managed.length === 0
    ? [ok(subject, 'leaves the interfaces alone')]
    : [
        wrong(
          subject,
          `takes ${managed[0]!.name} for its own, because of a [Match] that fits it (networkctl status ${managed[0]!.name}): give an earlier .network file [Match] Name=cn* and [Link] Unmanaged=yes`,
        ),
      ];
};

const networkManager: Check = async ({ machine, report }) => {
  const subject = 'NetworkManager';
  const ran = await machine.run('nmcli', ['-t', '-f', 'DEVICE,STATE', 'device']);
  if (ran === 'missing') return [ok(subject, 'is not installed')];
  if (!('out' in ran))
    return /not running/i.test(ran.complaint)
      ? [ok(subject, 'does not run')]
      : [unknown(subject, `nmcli says: ${ran.complaint}`)];
  const states = new Map(ran.out.split('\n').map((line) => line.split(':', 2) as [string, string]));
  const managed = devicesOf(report).filter(({ name }) => (states.get(name) ?? 'unmanaged') !== 'unmanaged');
  return managed.length === 0
    ? [ok(subject, 'leaves the interfaces alone')]
    : [
        wrong(
          subject,
          `manages ${managed[0]!.name}: [keyfile] unmanaged-devices=interface-name:cn* in a file of /etc/NetworkManager/conf.d, and nmcli general reload`,
        ),
      ];
};

function devicesOf(report: Parameters<Check>[0]['report']) {
  return (report?.peers ?? []).flatMap(({ interface: device }) => (device === null ? [] : [device]));
}

export const meddlingChecks: readonly Check[] = [networkd, networkManager];
