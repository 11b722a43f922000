/** The node itself: what it says is wrong, whether its parts belong together, and its ports. */
import { version } from '../../../protocol/version.ts';
import { duration } from '../../words.ts';
import { type Check, type Finding, ok, unknown, wrong } from './finding.ts';

/** UDP and TCP where nothing else is configured. */
const usualPort = 2333;

const dataplane: Check = ({ report }) => {
  if (report === undefined) return [];
  const { connected, engine, udpPort } = report.dataplane;
  return connected
    ? [ok('dataplane', `${engine}, UDP port ${udpPort}`)]
    : [wrong('dataplane', 'control has none: systemctl restart cryonet-dataplane, or start the node anew')];
};

/** What the node itself says to its operator. */
const warnings: Check = ({ report }) => {
  if (report === undefined) return [];
  const all = (report.warnings ?? []).map(({ peer, subject, message }) =>
    wrong('warning', `${peer === null ? '' : `${peer}: `}${subject}: ${message}`),
  );
  return all.length === 0 ? [ok('warnings', 'the node has none')] : all;
};

const peers: Check = ({ report }) => {
  if (report === undefined) return [];
  const { peers } = report;
  const down = peers.filter(({ state }) => state !== 'up' && state !== 'denied');
  if (down.length > 0)
    return down.map(({ id }) => wrong('peer', `${id} is down: cryoc explain ${id} says why`));
  return [ok('peers', `${peers.filter(({ state }) => state === 'up').length} of ${peers.length} up`)];
};

const versions: Check = ({ report }) => {
  if (report === undefined) return [unknown('versions', `cryoc ${version}; of a node nothing is known`)];
  return report.version === version
    ? [ok('versions', `${version}, both cryoc and the node`)]
    : [
        wrong(
          'versions',
          `cryoc is ${version}, and the node is ${report.version} still: systemctl restart cryonet`,
        ),
      ];
};

const ports: Check = async ({ machine, report }): Promise<Finding[]> => {
  // What a running node lacks it says by a warning.
  if (report !== undefined)
    return [ok('ports', `TCP ${report.node.listen}, UDP ${report.dataplane.udpPort ?? 'none'}`)];
  const taken: Finding[] = [];
  for (const kind of ['tcp', 'udp'] as const) {
    const why = await machine.whyTaken(kind, usualPort);
    if (why !== undefined)
      taken.push(
        wrong(
          'ports',
          `${kind.toUpperCase()} port ${usualPort} is not to be had (${why}): ss -${kind[0]}lpn shows who has it`,
        ),
      );
  }
  return taken.length > 0 ? taken : [ok('ports', `TCP and UDP port ${usualPort} are free`)];
};

/** How long it has run; where none answers, `control` says why not. */
export const nodeChecks: readonly Check[] = [
  ({ report }) =>
    report === undefined
      ? []
      : [ok('control', `${report.node.id} has run for ${duration(report.node.uptime * 1000)}`)],
  dataplane,
  warnings,
  peers,
  versions,
  ports,
];
