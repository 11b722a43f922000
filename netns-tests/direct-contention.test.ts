/** Datagrams beside a TCP flow that takes all there is: what becomes of each of them. */
import assert from 'node:assert/strict';
import { addressLink, fittingPair } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { kernelCounter } from './lab/marks.ts';
import type { Namespace } from './lab/namespace.ts';
import { story } from './lab/story.ts';

/** Datagrams that arrived or did not, of a flow by iperf3. */
async function datagrams(
  from: Namespace,
  to: Namespace,
  address: string,
  port: number,
  options: readonly string[],
) {
  const server = to.start(`iperf-server-${port}`, ['iperf3', '-s', '-1', '-p', `${port}`, '--forceflush']);
  await server.says(/Server listening/);
  const { stdout } = await from.$`iperf3 -c ${address} -p ${port} -u -J ${options}`;
  await server.ends(10_000);
  const { packets, lost_packets: lost } = JSON.parse(stdout).end.sum as Record<string, number>;
  return { packets: packets!, lost: lost! };
}

/*
 *   a  bootstrap ──┐ switch; TCP, and beside it UDP in VXLAN and UDP in fragments
 *   b → a ─────────┘
 */
story('no datagram beside a flow is lost that nobody counts', ['iperf3'], async (lab) => {
  const { a, b } = await fittingPair(lab);
  const [ofA, ofB] = await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
  for (const [host, own, other, device, address] of [
    [a.namespace, ofA, ofB, 'cnb', '10.77.0.1'],
    [b.namespace, ofB, ofA, 'cna', '10.77.0.2'],
  ] as const)
    await host.configure(
      `link add vx0 type vxlan id 7 local ${own} remote ${other} dstport 4789 dev ${device}`,
      'link set vx0 up',
      `addr add ${address}/24 dev vx0`,
    );
  const counted = async () => {
    const [sender, receiver] = [(await a.peer('b'))?.dropped ?? {}, (await b.peer('a'))?.dropped ?? {}];
    const ours = [...Object.values(sender), ...Object.values(receiver)].reduce((sum, each) => sum + each, 0);
    // Of the receiving program, which has as much memory as the kernel gives it.
    const theirs = await kernelCounter(b.namespace, 'UdpRcvbufErrors');
    return { ours, theirs, queue: sender.queue ?? 0 };
  };
  const vxlan = ['-l', '1300', '-b', '100M', '-t', '3'];
  const fragments = ['-l', '4096', '-b', '100M', '-k', '3000'];
  let port = 5300;
  for (const [what, address, options, queue] of [
    ['UDP in VXLAN', '10.77.0.2', vxlan, 1000],
    ['UDP in fragments', ofB, fragments, 1000],
    ['UDP in VXLAN, by a queue of 8', '10.77.0.2', vxlan, 8],
  ] as const) {
    await a.namespace.configure(`link set cnb txqueuelen ${queue}`);
    const before = await counted();
    // Towards b, as the datagrams.
    const flow = await Flow.start(a.namespace, ofA, b.namespace, { seconds: 4, port: port++ });
    const { packets, lost } = await datagrams(a.namespace, b.namespace, address, port++, options);
    await flow.end();
    const after = await counted();
    const ours = after.ours - before.ours;
    const theirs = after.theirs - before.theirs;
    lab.figures.push(`${what}: ${lost} of ${packets} lost; ${ours} packets counted here, ${theirs} there`);
    assert.ok(packets > 2000 && lost <= ours + theirs, lab.figures.at(-1));
    if (queue < 1000) assert.ok(after.queue > before.queue, lab.figures.at(-1));
  }
});
