/**
 * What is said by one connection's `signal` and `wire`, and its full packets on `data`, as records of kinds of their own
 * (`record.ts`): nothing is believed because DTLS brought it. Their keys are those of `protocol/keys.ts`. They are not the
 * engine's, because they come before there is an interface, and seldom.
 *
 * `signal` and `wire` lose nothing and keep their order, so only the record that follows the last one is taken. Full packets
 * may be lost: any one after the last is.
 */
import type { LinkCipher } from '../../protocol/keys.ts';
import { openRecord, parseRecord, recordKind, sealRecord } from './record.ts';

/** What records of a connection say, but for packets. */
export type Said = 'signal' | 'wire' | 'full';

export interface SaidKeys {
  /** 32 bytes, for what we seal. */
  readonly sendKey: Uint8Array;
  /** 32 bytes, for what we open. */
  readonly receiveKey: Uint8Array;
}

export interface ChannelRecordsOptions {
  readonly cipher: LinkCipher;
  /** Receiver indices: ours and the peer's. */
  readonly index: number;
  readonly peerIndex: number;
  readonly keys: Readonly<Record<Said, SaidKeys>>;
}

export class ChannelRecords {
  readonly #options: ChannelRecordsOptions;
  readonly #sealed: Record<Said, number> = { signal: 0, wire: 0, full: 0 };
  readonly #opened: Record<Said, number> = { signal: 0, wire: 0, full: 0 };

  constructor(options: ChannelRecordsOptions) {
    this.#options = options;
  }

  /** The next record, which is to be sent. */
  seal(said: Said, content: Uint8Array): Uint8Array {
    const { cipher, peerIndex: index, keys } = this.#options;
    const header = { kind: recordKind[said], index, counter: this.#sealed[said]++ };
    return sealRecord({ cipher, key: keys[said].sendKey }, header, content);
  }

  /** Its content; undefined where it is not the peer's, or not the next one. */
  open(said: Said, record: Uint8Array): Uint8Array | undefined {
    const { cipher, index, keys } = this.#options;
    const header = parseRecord(record);
    const next = this.#opened[said];
    if (header?.kind !== recordKind[said] || header.index !== index) return undefined;
    if (said === 'full' ? header.counter < next : header.counter !== next) return undefined;
    const content = openRecord({ cipher, key: keys[said].receiveKey }, record);
    if (content !== undefined) this.#opened[said] = header.counter + 1;
    return content;
  }
}

/** Whether what came on `data` says that it is a full packet. */
export function isFullPacket(record: Uint8Array): boolean {
  return parseRecord(record)?.kind === recordKind.full;
}
