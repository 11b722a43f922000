/** After the answer is here; enough for our first check to reach the peer before our candidates do. */
const LEAD_MS = 25;

/**
 * Local candidates between their gathering and their telling.
 *
 * A host answers checks before it has the answer. If the answerer, who is the DTLS client, had the offerer's
 * candidates along with the offer, it would be connected first and send its ClientHello to a host that does not
 * listen yet, and the next ClientHello comes a second later (RFC 6347 4.2.4.1). In libdatachannel the handshake may
 * even be over before the remote fingerprint is stored, and then fails. So an offerer tells its candidates
 * only once it has the answer; its own checks are on the way by then.
 */
export class CandidateHold {
  readonly #tell: (candidate: string) => void;
  #held: string[] | undefined = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (candidate: string) => void) {
    this.#tell = tell;
  }

  add(candidate: string): void {
    if (this.#held === undefined) this.#tell(candidate);
    else this.#held.push(candidate);
  }

  /** The answerer's way: as soon as its caller has the answer. */
  release(): void {
    setImmediate(() => this.#flush());
  }

  /** The offerer's way: some milliseconds after the answer came. */
  releaseAfterLead(): void {
    this.#timer ??= setTimeout(() => this.#flush(), LEAD_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#held = [];
  }

  #flush(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const candidate of held) this.#tell(candidate);
  }
}
