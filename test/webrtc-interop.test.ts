import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RTCPeerConnection } from 'werift';
import { hostAddresses } from '../dataplane/io/engine/host-addresses.ts';
import { openNodeDatachannel } from '../dataplane/io/engine/node-datachannel.ts';
import { openWerift } from '../dataplane/io/engine/werift.ts';
import { type ChannelName, channelStream } from '../dataplane/io/webrtc.ts';
import { conformance } from './webrtc-conformance.ts';
import { channelNames, End } from './webrtc-end.ts';

const anyPort = { udpPort: 0, fixed: false };

conformance('node-datachannel offers to werift', async () => ({
  offerer: await openNodeDatachannel(anyPort),
  answerer: await openWerift(),
}));

conformance('werift offers to node-datachannel', async () => ({
  offerer: await openWerift(),
  answerer: await openNodeDatachannel(anyPort),
}));

test('node-datachannel sends data unordered and the other channels in order, seen from another implementation', async () => {
  const engine = await openNodeDatachannel(anyPort);
  const offerer = new End(engine);
  const peer = new RTCPeerConnection({ iceServers: [], iceAdditionalHostAddresses: hostAddresses() });
  const opened = channelNames.map((name) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const channel = peer.createDataChannel(name, { negotiated: true, id: channelStream[name] });
    channel.stateChanged.subscribe((state) => state === 'open' && resolve());
    return promise;
  });
  try {
    await peer.setRemoteDescription({ type: 'offer', sdp: await offerer.connection.offer() });
    const answer = await peer.createAnswer();
    peer.onIceCandidate.subscribe(
      (candidate) => candidate && offerer.connection.addCandidate(candidate.candidate),
    );
    offerer.onCandidate = (candidate) => void peer.addIceCandidate({ candidate, sdpMid: '0' });
    const local = peer.setLocalDescription(answer);
    await offerer.connection.accept(answer.sdp);
    await Promise.all([local, offerer.untilOpen(), ...opened]);

    const unordered = new Map<number, boolean>();
    const { promise, resolve } = Promise.withResolvers<void>();
    const sctp = peer.sctpTransport!.sctp as unknown as { receiveChunk(chunk: object): Promise<void> };
    const receive = sctp.receiveChunk;
    sctp.receiveChunk = (chunk: { streamId?: number; flags?: number }) => {
      // RFC 9260 3.3.1: the U bit of a DATA chunk.
      if (chunk.streamId !== undefined) unordered.set(chunk.streamId, (chunk.flags! & 4) !== 0);
      if (unordered.size === 3) resolve();
      return receive.call(sctp, chunk);
    };
    const send = () =>
      channelNames.map((name: ChannelName) => offerer.connection.send(name, Buffer.from('x')));
    assert.deepEqual(send(), [true, true, true]);
    await promise;
    assert.deepEqual([...unordered].sort(), [
      [channelStream.signal, false],
      [channelStream.wire, false],
      [channelStream.data, true],
    ]);
  } finally {
    engine.close();
    await peer.close();
  }
});
