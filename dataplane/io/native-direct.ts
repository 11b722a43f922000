/** Links by the native addon. */
import { isIP } from 'node:net';
import type { DirectCounters, DirectEvents, DirectLink } from './direct.ts';
import type { NativeAddon } from './native.ts';

/** `enum record_cipher` in `record.h`. */
const cipherNumbers = { 'aes-256-gcm': 1, 'chacha20-poly1305': 2 } as const;

/** `enum event_type` in `event.h`. */
const heard = 1;
const answered = 2;
const eventNumbers = 5;

/** `enum link_counter` in `keypair.h`, in its order. */
const counterNames = [
  'txPackets',
  'txBytes',
  'rxPackets',
  'rxBytes',
  'txRecords',
  'rxRecords',
  'txRefused',
  'txTooLong',
  'txAside',
  'txOverflow',
  'rxRefused',
  'rxForged',
  'rxReplayed',
  'rxMalformed',
  'rxCongested',
  'rxOverflow',
  'txWrites',
  'rxWrites',
  'rxUnjoined',
  'txSegmented',
  'rxConfiguring',
  'rxProtocol',
  'txData',
  'rxData',
  'txKeyless',
  'txLooped',
] as const satisfies readonly (keyof DirectCounters)[];

/** Tells all events there are. */
export function emitDirectEvents(addon: NativeAddon, events: DirectEvents): void {
  for (let batch = addon.directEvents(); batch !== undefined; batch = addon.directEvents()) {
    const numbers = new Float64Array(batch);
    for (let at = 0; at < numbers.length; at += eventNumbers) {
      const [type, index, number, rtt, opened] = numbers.subarray(at, at + eventNumbers);
      if (type === heard) events.heard(index!);
      else if (type === answered) events.answered(index!, number!, rtt!, opened! < 0 ? null : opened!);
      else events.roamed(index!);
    }
  }
}

/** `device` must stay open while this is used. */
export function directLink(addon: NativeAddon, device: number): DirectLink {
  const numbers = new Float64Array(counterNames.length);
  return {
    setEndpoint: (address, port) => isIP(address) !== 0 && addon.setEndpoint(device, address, port),
    endpoint() {
      const [address, port, overhead] = addon.endpoint(device);
      return { address, port, overhead };
    },
    source: () => addon.source(device),
    forgetOwn: () => addon.forgetOwn(device),
    setLimit: (bytes) => addon.setLimit(device, bytes),
    setSegmentation: (on) => addon.setSegmentation(device, on),
    add({ index, peerIndex, cipher, sendKey, receiveKey, ecn = false }) {
      try {
        addon.addKeypair(device, index, peerIndex, cipherNumbers[cipher], sendKey, receiveKey, ecn);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
        throw error;
      }
    },
    use: (index) => addon.useKeypair(device, index ?? 0),
    carry: (on) => addon.carry(device, on),
    open: (records) => addon.openRecords(device, records),
    sign(index) {
      const record = addon.sign(index);
      return record && new Uint8Array(record);
    },
    remove: (index) => addon.removeKeypair(index),
    join: () => addon.join(device),
    ask: (index, address, port) => isIP(address) !== 0 && addon.ask(index, address, port),
    probe: (index, number, size) => addon.probe(index, number, size),
    counters() {
      addon.directCounters(device, numbers);
      return Object.fromEntries(
        counterNames.map((name, i) => [name, numbers[i]!]),
      ) as unknown as DirectCounters;
    },
  };
}
