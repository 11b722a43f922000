/**
 * NAT kinds, in the terms of RFC 4787, as nftables rules for a router with interfaces `lan` and `wan`.
 *
 *   mapping     which destinations share one outer port: all (cone), those at one address, none (symmetric)
 *   filtering   who may send to an outer port: anyone, addresses sent to, addresses and ports sent to
 *   hairpinning whether what is sent to an outer port from inside comes back in, as if from outside; unfiltered
 *
 * Linux's own masquerade keeps a port only while no other connection tracking entry wants it, so it maps by
 * address and port. A mapping that all destinations share is made here: the outer port is a hash of the inner
 * address and port (and of the destination's address, where the mapping depends on it), and a dynamic map
 * remembers which inner address and port is behind an outer port.
 */

export const dependences = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
] as const;
export type Dependence = (typeof dependences)[number];

export interface NatKind {
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  readonly hairpinning: boolean;
}

/** One outer port per inner port, whatever the destination: hole punching works. */
export function coneNat(filtering: Dependence = 'address-and-port-dependent'): NatKind {
  return { mapping: 'endpoint-independent', filtering, hairpinning: false };
}

/** A new outer port for each destination: what STUN tells about one is of no use to another, and nobody but
 *  that destination can be let in. */
export function symmetricNat(): NatKind {
  return {
    mapping: 'address-and-port-dependent',
    filtering: 'address-and-port-dependent',
    hairpinning: false,
  };
}

/**
 * The ruleset of a router with this outer IPv4 address, in place of the one it had. `seed`, from 1 to 65535, makes its
 * choice of ports its own. It is also the zone of connection tracking, of all that is no UDP only where `zone` is no other
 * one: under another one the connections of before are not known.
 */
export function natRules(kind: NatKind, outer: string, seed: number, zone = seed): string {
  const key =
    kind.mapping === 'address-dependent' ? 'ip saddr . udp sport . ip daddr' : 'ip saddr . udp sport';
  const port = `jhash ${key} mod 16384 seed ${seed} offset 40000`;
  const translate =
    kind.mapping === 'address-and-port-dependent'
      ? 'oifname wan masquerade random, fully-random'
      : `iifname lan meta l4proto udp add @behind { ${port} : ip saddr . udp sport }
         iifname lan meta l4proto udp snat to ${outer} : ${port}
         oifname wan masquerade`;
  return `
    table ip nat {}
    delete table ip nat
    table ip filter {}
    delete table ip filter
    table ip nat {
      map behind {
        typeof udp dport : ip daddr . udp dport
        flags dynamic, timeout; timeout 10m; size 4096;
      }
      chain postrouting {
        type nat hook postrouting priority srcnat;
        ${translate}
      }
      chain prerouting {
        type nat hook prerouting priority dstnat;
        ${kind.hairpinning ? '' : 'iifname wan'} ip daddr ${outer} dnat to udp dport map @behind
      }
    }
    table ip filter {
      set met {
        typeof ip saddr . udp sport . ip daddr
        flags dynamic, timeout; timeout 10m; size 4096;
      }
      chain zone {
        type filter hook prerouting priority raw;
        meta l4proto udp ct zone set ${seed}
        meta l4proto != udp ct zone set ${zone}
      }
      chain forward {
        type filter hook forward priority filter; policy drop;
        iifname lan meta l4proto udp update @met { ip saddr . udp sport . ip daddr }
        iifname lan accept
        ct state established,related accept
        ${admit[kind.filtering]}
      }
      chain input {
        type filter hook input priority filter;
        iifname wan meta l4proto udp drop
      }
    }`;
}

/** What is let in beyond answers: forwarding sees the inner destination, after its translation. */
const admit: Record<Dependence, string> = {
  'endpoint-independent': 'iifname wan meta l4proto udp accept',
  'address-dependent': 'iifname wan ip daddr . udp dport . ip saddr @met accept',
  'address-and-port-dependent': '',
};
