/** The machine's interfaces and addresses, as far as a node cares. */

export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** IFF_* of linux/if.h. */
  readonly flags: number;
  /** IFLA_INFO_KIND, as in `ip -details link`; empty for hardware and loopback. */
  readonly kind: string;
  /** Of the interface alone: 0 none, 1 strict, 2 loose. */
  readonly rpFilter: number;
}

export interface HostAddress {
  /** Of its interface. */
  readonly index: number;
  readonly address: string;
  /** IFA_F_* of linux/if_addr.h. */
  readonly flags: number;
  readonly prefixLength: number;
  /** RT_SCOPE_* of linux/rtnetlink.h. */
  readonly scope: number;
}
