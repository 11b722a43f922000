/**
 * A peer that speaks the real protocol and misbehaves: one peer connection of node-datachannel, below this project's
 * engine, so that nothing holds it back. Its other end is an engine under test.
 */
import { type DataChannel, type DescriptionType, PeerConnection } from 'node-datachannel';
import type { Connection, ConnectionEvents } from '../../dataplane/io/webrtc.ts';
import { type ChannelName, channelStream } from '../../dataplane/io/webrtc.ts';
import { encode } from '../../protocol/msgpack.ts';

/** Wrappers that the garbage collector takes before the library is done with them crash the process. */
const retained: unknown[] = [];

export class HostilePeer {
  readonly #peer: PeerConnection;
  readonly #channels: Record<ChannelName, DataChannel>;
  /** Ours and those that nobody asked for. */
  readonly #opened: DataChannel[] = [];
  readonly #candidates: string[] = [];
  #tell: (candidate: string) => void = (candidate) => this.#candidates.push(candidate);
  /** Of the other end, until its description is there. */
  #early: string[] | undefined = [];
  #state = 'new';

  constructor() {
    this.#peer = new PeerConnection('hostile', { iceServers: [], maxMessageSize: 262_144 });
    retained.push(this.#peer);
    this.#peer.onStateChange((state) => {
      this.#state = state;
    });
    this.#peer.onLocalCandidate((line) => this.#tell(line.replace(/^a=/, '')));
    const open = (name: ChannelName) => {
      const reliability = name === 'data' ? { unordered: true, maxRetransmits: 0 } : {};
      return this.#keep(
        this.#peer.createDataChannel(name, { negotiated: true, id: channelStream[name], ...reliability }),
      );
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

  /** Makes the offer to the connection of an engine under test. Candidates that it tells are for `candidate`. */
  async offerTo(connection: Connection): Promise<void> {
    const answer = await connection.answer(this.#peer.localDescription()!.sdp);
    for (const line of this.#candidates.splice(0)) connection.addCandidate(line);
    this.#tell = (line) => connection.addCandidate(line);
    this.#peer.setRemoteDescription(answer, 'answer' as DescriptionType);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const line of early) this.candidate(line);
  }

  /** What the other end tells of itself. */
  candidate(line: string): void {
    if (this.#early !== undefined) this.#early.push(line);
    else if (!this.isOver) this.#peer.addRemoteCandidate(line, '0');
  }

  /** A datachannel that nobody asked for; undefined once the connection is over. */
  openInBand(label: string): DataChannel | undefined {
    try {
      return this.#keep(this.#peer.createDataChannel(label));
    } catch {
      return undefined;
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

  say(message: Readonly<Record<string, unknown>>): boolean {
    return this.send('wire', encode(message));
  }

  close(): void {
    for (const channel of this.#opened) channel.close();
    this.#peer.close();
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
    unserved: () => {},
    misused: () => {},
    ...more,
  };
}
