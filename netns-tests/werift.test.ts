/** Nodes whose WebRTC engine is werift. */
import assert from 'node:assert/strict';
import { Capture } from './lab/capture.ts';
import { losses, meshed, pingMesh } from './lab/mesh.ts';
import { useResolver } from './lab/nat64.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';

/** Of a pcap file, and of each packet in it. */
const pcapHeaders = { file: 24, packet: 16 };

/*
 *   a  werift ────────────┐
 *   b  werift ────────────┤ switch ── router, the way to everywhere else, and name server of all
 *   c  node-datachannel ──┘
 */
story(
  'nodes on werift are in a mesh, and no node asks a server that it was not told of',
  ['ping', 'tcpdump'],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c', 'router'], 'ipv4');
    const router = hosts.at(-1)!;
    const inside = hosts.slice(0, -1);
    for (const host of inside) {
      await host.configure(`route add default via ${router.address}`);
      useResolver(host, router.address);
    }
    const outward = `ip and not multicast and (dst host ${router.address} or not dst net 198.51.100.0/24)`;
    const capture = await Capture.start(router, 'eth0', outward);
    const nodes: CryonetNode[] = [];
    for (const [index, host] of inside.entries()) {
      const options = ['--webrtc', index < 2 ? 'werift' : 'node-datachannel'];
      nodes.push(
        new CryonetNode(host, { listen: index === 0, bootstrap: nodes.slice(0, 1), options }).start(),
      );
      if (index === 0) await nodes[0]!.ready();
    }
    const reports = await meshed(nodes);
    assert.deepEqual(
      reports.flatMap(({ peers }) => peers.map(({ path }) => path)),
      Array.from({ length: 6 }, () => 'datachannel'),
    );
    assert.deepEqual(losses(await pingMesh(nodes)), []);

    const last = Buffer.from('the one packet that leaves');
    await inside[0]!.$`echo -n ${last.toString()} > /dev/udp/203.0.113.7/9`;
    await capture.holds(last);
    const captured = capture.soFar();
    const before = captured.subarray(pcapHeaders.file, captured.indexOf(last)).toString('latin1');
    assert.ok(before.length < pcapHeaders.packet + 60, before);
  },
);
