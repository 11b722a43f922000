/** The other end of a device's link, for tests of the device: it opens the records that come to the sink, and seals what the
 *  kernel is to get. */
import { openRecord, recordKind, sealRecord } from '../../dataplane/io/record.ts';
import type { Tun } from '../../dataplane/io/tun.ts';

const cipher = 'aes-256-gcm';
const ours = { cipher, key: new Uint8Array(32).fill(1) } as const;
const theirs = { cipher, key: new Uint8Array(32).fill(2) } as const;

let lastIndex = 0x1000;

export class FarEnd {
  readonly #tun: Tun;
  readonly #index = ++lastIndex;
  #counter = 0;

  constructor(tun: Tun) {
    this.#tun = tun;
    const link = tun.direct();
    const { key: sendKey } = theirs;
    link.add({ index: this.#index, peerIndex: 1, cipher, sendKey, receiveKey: ours.key });
    link.use(this.#index);
  }

  give(packets: readonly Uint8Array[]): void {
    const records = packets.map((packet) => {
      const header = { kind: recordKind.packet, index: this.#index, counter: this.#counter++ };
      return sealRecord(ours, header, packet);
    });
    this.#tun.direct().open(records);
  }
}

/** The packets in what came to a sink. */
export function packetsIn(batch: readonly Uint8Array[]): Uint8Array[] {
  return batch.map((record) => openRecord(theirs, record)!);
}
