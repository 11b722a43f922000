/**
 * A peer that speaks the real protocol and misbehaves: one peer connection of node-datachannel, below this project's
 * engine, so that nothing holds it back. Its other end is an engine under test, or a real program.
 */
import { type DataChannel, type DescriptionType, PeerConnection } from 'node-datachannel';
import type { Agreement } from '../../dataplane/io/agreement.ts';
import type { Said } from '../../dataplane/io/channel-records.ts';
import type { Keypair } from '../../dataplane/io/direct.ts';
import { recordKind, sealRecord } from '../../dataplane/io/record.ts';
import type { Connection, ConnectionEvents } from '../../dataplane/io/webrtc.ts';
import { type ChannelName, channelStream } from '../../dataplane/io/webrtc.ts';
import { encode } from '../../protocol/msgpack.ts';
import { parse } from '../../protocol/schema.ts';
import { type WireMessage, wireMessage, wireVersion } from '../../protocol/wire.ts';
import { waitFor } from '../native/wait.ts';

/** Wrappers that the garbage collector takes before the library is done with them crash the process. */
const retained: unknown[] = [];

export class HostilePeer {
  readonly #peer: PeerConnection;
  readonly #channels: Record<ChannelName, DataChannel>;
  /** Ours and those that nobody asked for. */
  readonly #opened: DataChannel[] = [];
  readonly #candidates: string[] = [];
  #tell: (candidate: string) => void = (candidate) => this.#candidates.push(candidate);
  #hear: (message: WireMessage) => void = () => {};
  /** Of the other end, until its description is there. */
  #early: string[] | undefined = [];
  #state = 'new';
  #agreement: Agreement | undefined;
  #keypair: Keypair | undefined;
  #packets = 0;

  constructor() {
    this.#peer = new PeerConnection('hostile', { iceServers: [], maxMessageSize: 262_144 });
    retained.push(this.#peer);
    this.#peer.onStateChange((state) => {
      this.#state = state;
    });
    this.#peer.onLocalCandidate((line) => this.#tell(line.replace(/^a=/, '')));
    const open = (name: ChannelName) => {
      const reliability = name === 'data' ? { unordered: true, maxRetransmits: 0 } : {};
      const options = { negotiated: true, id: channelStream[name], ...reliability };
      const channel = this.#keep(this.#peer.createDataChannel(name, options));
      // Read, or the library's queue fills.
      channel.onMessage((message) => {
        if (name === 'wire')
          this.#hear(parse(wireMessage, this.#agreement!.channels!.open('wire', message as Buffer)!));
      });
      return channel;
    };
    this.#channels = { signal: open('signal'), wire: open('wire'), data: open('data') };
  }

  /** Whether the other end, or anybody, ended the connection. */
  get isOver(): boolean {
    return ['disconnected', 'failed', 'closed'].includes(this.#state);
  }

  get isOpen(): boolean {
    return this.#state === 'connected' && this.#channels.data.isOpen();
  }

  /** The description of its end, without candidates. */
  get offer(): string {
    return this.#peer.localDescription()!.sdp.replace(/^a=(candidate|end-of-candidates).*\r\n/gm, '');
  }

  /** Makes the offer to the connection of an engine under test. Candidates that it tells are for `candidate`. */
  async offerTo(connection: Connection): Promise<void> {
    const answer = await connection.answer(this.offer);
    this.tellCandidates((line) => connection.addCandidate(line));
    this.accept(answer);
  }

  /** With the keys that it has agreed on, which are of an answer to its offer. */
  acceptWith(agreement: Agreement, answer: string): void {
    this.#agreement = agreement;
    this.#keypair = agreement.takeFirst();
    this.accept(answer);
  }

  accept(answer: string): void {
    this.#peer.setRemoteDescription(answer, 'answer' as DescriptionType);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const line of early) this.candidate(line);
  }

  /** `tell` is given those of this end, those that there are and the later ones. */
  tellCandidates(tell: (candidate: string) => void): void {
    for (const line of this.#candidates.splice(0)) tell(line);
    this.#tell = tell;
  }

  /** Says on `wire` what makes an open connection a link, and from then on answers pings, so that it stays one. */
  async becomeLink(packetInformation: boolean): Promise<void> {
    let isReady = false;
    this.#hear = (message) => {
      if (message.type === 'ready') isReady = true;
      if (message.type === 'ping') this.say({ type: 'pong', number: message.number });
    };
    const about = { packetInformation, mtu: 1500, saysReady: true };
    this.say({ type: 'hello', version: wireVersion, ...about });
    this.say({ type: 'ready' });
    await waitFor('the other end to be ready', () => isReady || this.isOver);
  }

  /** What the other end tells of itself. */
  candidate(line: string): void {
    if (this.#early !== undefined) this.#early.push(line);
    else if (!this.isOver) this.#peer.addRemoteCandidate(line, '0');
  }

  /** Opens datachannels that nobody asked for. On every other one it sends more messages than the library's queue takes, on
   *  the rest long ones. */
  floodInBand(): void {
    for (let i = 0; i < 6; i++) {
      const channel = this.#openInBand(`unexpected ${i}`);
      const [length, count] = i % 2 === 0 ? [60_000, 100] : [1, 1500];
      const bytes = new Uint8Array(length);
      channel?.onOpen(() => {
        for (let sent = 0; sent < count && this.send(channel, bytes); sent++);
      });
    }
  }

  /** False once the connection is over. */
  send(channel: ChannelName | DataChannel, bytes: Uint8Array): boolean {
    try {
      const at = typeof channel === 'string' ? this.#channels[channel] : channel;
      at.sendMessageBinary(bytes as Buffer);
      return true;
    } catch {
      return false;
    }
  }

  /** Bytes that wait in this end. */
  unsent(channel: ChannelName): number {
    return this.isOver ? 0 : this.#channels[channel].bufferedAmount();
  }

  /** As the record that a link's packets are. */
  sendPacket(packet: Uint8Array): boolean {
    const { cipher, sendKey: key, peerIndex: index } = this.#keypair!;
    const header = { kind: recordKind.packet, index, counter: this.#packets++ };
    return this.send('data', sealRecord({ cipher, key }, header, packet));
  }

  /** As the record that this has to be. */
  sendSaid(said: Said, content: Uint8Array): boolean {
    return this.send(said === 'full' ? 'data' : said, this.#agreement!.channels!.seal(said, content));
  }

  say(message: Readonly<Record<string, unknown>>): boolean {
    return this.sendSaid('wire', encode(message));
  }

  close(): void {
    for (const channel of this.#opened) channel.close();
    this.#peer.close();
  }

  /** Undefined once the connection is over. */
  #openInBand(label: string): DataChannel | undefined {
    try {
      return this.#keep(this.#peer.createDataChannel(label));
    } catch {
      return undefined;
    }
  }

  #keep(channel: DataChannel): DataChannel {
    retained.push(channel);
    this.#opened.push(channel);
    // Else its wrapper keeps the process from ending.
    channel.onClosed(() => {});
    return channel;
  }
}

/** Events of the engine's end that nobody looks at, but for its candidates. */
export function eventsFor(peer: HostilePeer, more: Partial<ConnectionEvents> = {}): ConnectionEvents {
  return {
    candidate: (line) => peer.candidate(line),
    state: () => {},
    open: () => {},
    message: () => {},
    drain: () => {},
    paired: () => {},
    unserved: () => {},
    misused: () => {},
    ...more,
  };
}
