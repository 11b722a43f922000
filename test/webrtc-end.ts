/** Two ends of a WebRTC connection in a test: what each was told, and the signaling between them. */

import assert from 'node:assert/strict';
import type {
  CandidatePair,
  ChannelName,
  Connection,
  ConnectionEvents,
  ConnectionOptions,
  ConnectionState,
  Engine,
  IceServer,
  Misuse,
} from '../dataplane/io/webrtc.ts';

export const channelNames: readonly ChannelName[] = ['signal', 'wire', 'data'];

const shared: ConnectionOptions = { route: 'shared', iceServers: [] };

/** A connection with a record of its events. `until` waits for them. */
export class End implements ConnectionEvents {
  readonly connection: Connection;
  readonly candidates: string[] = [];
  readonly states: ConnectionState[] = [];
  readonly opened: ChannelName[] = [];
  /** When it was told that there is one. */
  readonly pairs: (CandidatePair | undefined)[] = [];
  readonly messages: Record<ChannelName, Uint8Array[]> = { signal: [], wire: [], data: [] };
  readonly unservedBy: IceServer['kind'][] = [];
  readonly misuses: Misuse[] = [];
  drains = 0;
  /** Of all events, in the order they came. */
  readonly log: string[] = [];
  /** Called with each message as well; what it throws is the engine's to survive. */
  onMessage: (channel: ChannelName, bytes: Uint8Array) => void = () => {};
  onCandidate: (candidate: string) => void = () => {};
  readonly #waiting = new Set<() => void>();
  #isInside = false;

  constructor(engine: Engine, options: ConnectionOptions = shared) {
    this.connection = engine.connect(options, this);
  }

  /** Resolves once `holds` does, which is looked at after every event of this end. */
  async until(what: string, holds: () => boolean, ms = 30_000): Promise<void> {
    if (holds()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      reject(new Error(`not within ${ms} ms: ${what}; told: ${this.log.slice(-20).join(', ')}`));
    }, ms);
    const look = () => holds() && resolve();
    this.#waiting.add(look);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  untilOpen(): Promise<void> {
    return this.until('three open channels', () => this.opened.length === channelNames.length);
  }

  untilState(state: ConnectionState, ms?: number): Promise<void> {
    return this.until(`state ${state}`, () => this.states.includes(state), ms);
  }

  /** Calls a method of the connection; events must not come from inside it. */
  inside<T>(call: (connection: Connection) => T): T {
    this.#isInside = true;
    try {
      return call(this.connection);
    } finally {
      this.#isInside = false;
    }
  }

  candidate(candidate: string): void {
    this.candidates.push(candidate);
    this.onCandidate(candidate);
    this.#told('candidate');
  }

  state(state: ConnectionState): void {
    this.states.push(state);
    this.#told(state);
  }

  paired(): void {
    this.pairs.push(this.connection.pair());
    this.#told('paired');
  }

  open(channel: ChannelName): void {
    this.opened.push(channel);
    this.#told(`open ${channel}`);
  }

  message(channel: ChannelName, bytes: Uint8Array): void {
    this.messages[channel].push(bytes);
    this.onMessage(channel, bytes);
    this.#told(`message ${channel}`);
  }

  drain(): void {
    this.drains += 1;
    this.#told('drain');
  }

  unserved(kind: IceServer['kind']): void {
    this.unservedBy.push(kind);
    this.#told(`unserved ${kind}`);
  }

  misused(how: Misuse): void {
    this.misuses.push(how);
    this.#told(`misused ${how}`);
  }

  #told(event: string): void {
    assert.ok(!this.#isInside, `${event} came from inside a method`);
    this.log.push(event);
    for (const look of [...this.#waiting]) look();
  }
}

/** Rearranges one side's candidates, as a network between the nodes may. */
export type Shuffle = (candidates: readonly string[]) => readonly string[];

/** Signals as control does: candidates trickle, and wait for the remote description. Resolves with the answer. */
export async function negotiate(
  offerer: End,
  answerer: End,
  shuffle: Shuffle = (lines) => lines,
  edit: (offer: string) => string = (offer) => offer,
): Promise<string> {
  const offer = edit(await offerer.inside((connection) => connection.offer()));
  const answer = await answerer.inside((connection) => connection.answer(offer));
  trickle(offerer, answerer, shuffle);
  await offerer.inside((connection) => connection.accept(answer));
  trickle(answerer, offerer, shuffle);
  return answer;
}

function trickle(from: End, to: End, shuffle: Shuffle): void {
  const pass = (candidates: readonly string[]) => {
    for (const line of shuffle(candidates)) to.inside((connection) => connection.addCandidate(line));
  };
  pass(from.candidates);
  from.onCandidate = (candidate) => pass([candidate]);
}

/** A connection of two engines, its channels open, with the time that took in milliseconds. */
export async function connected(
  engines: { offerer: Engine; answerer: Engine },
  options: {
    readonly offerer?: ConnectionOptions;
    readonly answerer?: ConnectionOptions;
    readonly shuffle?: Shuffle;
    /** Changes the offer on its way. */
    readonly edit?: (offer: string) => string;
  } = {},
): Promise<{ offerer: End; answerer: End; ms: number; close(): void }> {
  const offerer = new End(engines.offerer, options.offerer);
  const answerer = new End(engines.answerer, options.answerer);
  const close = () => {
    offerer.connection.close();
    answerer.connection.close();
  };
  const begun = performance.now();
  try {
    await negotiate(offerer, answerer, options.shuffle, options.edit);
    await Promise.all([offerer.untilOpen(), answerer.untilOpen()]);
  } catch (error) {
    close();
    throw error;
  }
  return { offerer, answerer, ms: performance.now() - begun, close };
}
