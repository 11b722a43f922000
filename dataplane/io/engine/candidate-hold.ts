/** After the answer is here; enough for our first check to reach the peer before our candidates do. */
const LEAD_MS = 25;
/** After the peer's first candidate: libjuice makes its checks 50 ms apart, one for each way to send, and asks the TURN
 *  server to let the peer in with the first check that goes through it. */
const LET_IN_MS = 150;
/** After the answer, for a peer that has no candidates to tell. */
const TURN_MS = 2_000;

/**
 * Local candidates between their gathering and their telling.
 *
 * The answerer is the DTLS client, and speaks as soon as one of its checks has succeeded. If the offerer, the server,
 * has no checked pair by then, that ClientHello is dropped, and the next one comes a second later (RFC 6347 4.2.4.1).
 * So the offerer's check must come through first:
 *
 * - Hosts answer checks before they have the answer. So an offerer tells its candidates only once it has the answer;
 *   its own checks are on the way by then. (In libdatachannel the handshake could else even be over before the
 *   remote fingerprint is stored, and fails.)
 * - A TURN server lets nobody in whom its client has not written to. So a relayed offerer tells its candidates at
 *   once, and its answerer tells its own after it has them: when the offerer begins, it is let in. Here the order is
 *   vital: an early ClientHello can freeze libdatachannel's threads (see `node-datachannel.ts`).
 */
export class CandidateHold {
  readonly #tell: (candidate: string) => void;
  #held: string[] | undefined = [];
  #timer: NodeJS.Timeout | undefined;
  #isInTurn = false;

  constructor(tell: (candidate: string) => void) {
    this.#tell = tell;
  }

  add(candidate: string): void {
    if (this.#held === undefined) this.#tell(candidate);
    else this.#held.push(candidate);
  }

  /** As soon as our caller has the description: the answerer's way, and the relayed offerer's. */
  release(): void {
    setImmediate(() => this.#flush());
  }

  /** Some milliseconds after the answer came: the offerer's way. */
  releaseAfterLead(): void {
    this.#timer ??= setTimeout(() => this.#flush(), LEAD_MS);
  }

  /** Once the peer's first candidate has been checked: the answerer's way with a relayed offerer. */
  releaseInTurn(): void {
    this.#isInTurn = true;
    this.#timer = setTimeout(() => this.#flush(), TURN_MS);
  }

  /** A candidate of the peer is being checked. */
  peerTold(): void {
    if (!this.#isInTurn) return;
    this.#isInTurn = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), LET_IN_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#held = [];
  }

  #flush(): void {
    clearTimeout(this.#timer);
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const candidate of held) this.#tell(candidate);
  }
}
