/** A UDP socket that asks STUN servers, several at a time: what it is told of itself by each. */
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import type { Place } from '../../protocol/netcheck.ts';
import { readStunResponse, type StunResponse, stunRequest, stunType, transactionBytes } from './stun.ts';

type Attributes = readonly (readonly [type: number, value: Uint8Array])[];

/** Milliseconds after each sending of a request. */
const usualPauses = [250, 500, 1000];

interface Question {
  readonly transaction: Buffer;
  answered(response: StunResponse): void;
}

export class StunSocket {
  readonly #socket: dgram.Socket;
  readonly #questions = new Set<Question>();
  readonly #awaited = new Map<string, () => void>();

  private constructor(socket: dgram.Socket) {
    this.#socket = socket;
    socket.on('message', (bytes) => this.#receive(bytes));
    // Whom the network refuses does not answer, and is asked again.
    socket.on('error', () => {});
  }

  /** Rejects where the family is not to be had. */
  static async open(family: 'ipv4' | 'ipv6', opened: () => void): Promise<StunSocket> {
    const socket = dgram.createSocket({
      type: family === 'ipv6' ? 'udp6' : 'udp4',
      ipv6Only: family === 'ipv6',
    });
    try {
      socket.bind(0);
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw error;
    }
    opened();
    return new StunSocket(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** The answer, from wherever it comes; undefined where none does. Never rejects. */
  async ask(
    { address, port }: Place,
    attributes: Attributes = [],
    pauses = usualPauses,
  ): Promise<StunResponse | undefined> {
    const transaction = randomBytes(transactionBytes);
    const request = stunRequest(stunType.bindingRequest, transaction, attributes);
    const { promise, resolve } = Promise.withResolvers<StunResponse | undefined>();
    const question = { transaction, answered: resolve };
    this.#questions.add(question);
    let sent = 0;
    let timer: NodeJS.Timeout | undefined;
    const send = () => {
      const pause = pauses[sent++];
      if (pause === undefined) return resolve(undefined);
      this.#socket.send(request, port, address, () => {});
      timer = setTimeout(send, pause);
    };
    send();
    const response = await promise;
    clearTimeout(timer);
    this.#questions.delete(question);
    return response;
  }

  /** Sends bytes that are no STUN, several times. */
  say(bytes: Buffer, { address, port }: Place): void {
    for (let i = 0; i < 3; i++) this.#socket.send(bytes, port, address, () => {});
  }

  /** Whether these bytes come within so many milliseconds. */
  async hears(bytes: Buffer, milliseconds: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const name = bytes.toString('hex');
    this.#awaited.set(name, () => resolve(true));
    const timer = setTimeout(resolve, milliseconds, false);
    const heard = await promise;
    clearTimeout(timer);
    this.#awaited.delete(name);
    return heard;
  }

  close(): void {
    this.#socket.close();
  }

  #receive(bytes: Buffer): void {
    this.#awaited.get(bytes.toString('hex'))?.();
    for (const { transaction, answered } of this.#questions) {
      const response = readStunResponse(bytes, transaction);
      if (response !== undefined) answered(response);
    }
  }
}
