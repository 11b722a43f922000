import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device } from '../dataplane/io/device.ts';
import { type MemoryTun, MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import type { Connection } from '../dataplane/io/webrtc.ts';

const packet = Uint8Array.of(0x45, ...new Uint8Array(39));

/** A device, and a datachannel that has taken so many bytes and passes none on. */
function stalled() {
  const sent: Uint8Array[] = [];
  let buffered = 0;
  const connection = {
    send: (_channel: string, bytes: Uint8Array) => {
      sent.push(bytes);
      buffered += 100_000;
      return true;
    },
    buffered: () => buffered,
  } as unknown as Connection;
  const options = { name: 'cna', alias: '', mtu: 1280, packetInformation: false, linkLocal: 'fe80::1' };
  const device = new Device((sink) => new MemoryTunFactory().open(options, sink), {
    mtu: 1280,
    linkLocal: 'fe80::1',
    peerLinkLocal: 'fe80::2',
  });
  const key = new Uint8Array(32);
  device.tun.direct().add({ index: 1, peerIndex: 1, cipher: 'aes-256-gcm', sendKey: key, receiveKey: key });
  device.tun.direct().use(1);
  device.setCarrier(true);
  device.use(connection);
  const inject = async (packets: number) => {
    for (let i = 0; i < packets; i++) {
      (device.tun as MemoryTun).inject(packet);
      await Promise.resolve();
    }
  };
  return { device, sent, inject };
}

test('a datachannel that is full holds the interface up: nothing is lost, and nothing more is read', async () => {
  const { device, sent, inject } = stalled();
  await inject(10);
  assert.equal(sent.length, 3);
  assert.equal(device.counters.unsent, 0);
});

test('beside a direct path it does not: what does not fit that path is dropped, and the interface is read on', async () => {
  const { device, sent, inject } = stalled();
  device.setDirect(true);
  await inject(10);
  assert.equal(sent.length, 3);
  assert.equal(device.counters.unsent, 7);
});

test('an interface that was held up is read again when a direct path is there', async () => {
  const { device, sent, inject } = stalled();
  await inject(10);
  device.setDirect(true);
  await inject(1);
  assert.equal(sent.length, 3);
  assert.equal(device.counters.unsent, 8);
});
