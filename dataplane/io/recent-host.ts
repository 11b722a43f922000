/** The machine's network as it was a moment ago. */
import type { Host, HostAddress, HostLink } from './host.ts';

/** Milliseconds. The kernel lists all interfaces for as long as one link takes to be offered, and links that come up
 *  together may share a list. One that is lost is negotiated anew seconds after an address went. */
const lifetime = 250;

type Asked = Pick<Host, 'links' | 'addresses' | 'route'>;

/** Interfaces and addresses are looked at anew when the last look is too old; routes each time. */
export class RecentHost implements Asked {
  readonly #host: Asked;
  #links: readonly HostLink[] = [];
  #addresses: readonly HostAddress[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(host: Asked) {
    this.#host = host;
  }

  links(): readonly HostLink[] {
    this.#look();
    return this.#links;
  }

  addresses(): readonly HostAddress[] {
    this.#look();
    return this.#addresses;
  }

  route(...asked: Parameters<Host['route']>): ReturnType<Host['route']> {
    return this.#host.route(...asked);
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#lookedAt < lifetime) return;
    this.#lookedAt = now;
    this.#links = this.#host.links();
    this.#addresses = this.#host.addresses();
  }
}
