/**
 * NAT kinds, in the terms of RFC 4787, as nftables rules for a router with interfaces `lan` and `wan`.
 *
 *   mapping     which destinations share one outer port: all (cone), those at one address, none (symmetric)
 *   filtering   who may send to an outer port: anyone, addresses sent to, addresses and ports sent to
 *   hairpinning whether what is sent to an outer port from inside comes back in, as if from outside; unfiltered
 *   preserving  whether an outer port is the inner one
 *   lifetime    seconds without a packet after which a mapping ends, and with it what may be sent to it
 *
 * Linux's own masquerade keeps a port only while no other connection tracking entry wants it, so it maps by
 * address and port. A mapping that all destinations share is made here: the outer port is the inner one or a hash of the
 * inner address and port (and of the destination's address, where the mapping depends on it), and a dynamic map, renewed by
 * each packet that leaves, remembers which inner address and port is behind an outer port.
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
  readonly preserving: boolean;
  readonly lifetime: number;
}

/** As RFC 4787 asks for (REQ-5): two minutes at least, and better five. */
const usualLifetime = 300;

/** One outer port per inner port, whatever the destination: hole punching works. */
export function coneNat(filtering: Dependence = 'address-and-port-dependent'): NatKind {
  return {
    ...{ mapping: 'endpoint-independent', filtering },
    ...{ hairpinning: false, preserving: false, lifetime: usualLifetime },
  };
}

/** A new outer port for each destination: what STUN tells about one is of no use to another, and nobody but
 *  that destination can be let in. */
export function symmetricNat(): NatKind {
  return { ...coneNat('address-and-port-dependent'), mapping: 'address-and-port-dependent' };
}

/**
 * The ruleset of a router with this outer IPv4 address, in place of the one it had. `seed`, from 1 to 65535, makes its
 * choice of ports its own. It is also the zone of connection tracking, of all that is no UDP only where `zone` is no other
 * one: under another one the connections of before are not known.
 */
export function natRules(kind: NatKind, outer: string, seed: number, zone = seed): string {
  const { mapping, filtering, hairpinning, preserving, lifetime } = kind;
  const key = mapping === 'address-dependent' ? 'ip saddr . udp sport . ip daddr' : 'ip saddr . udp sport';
  const port = preserving ? '' : ` : jhash ${key} mod 16384 seed ${seed} offset 40000`;
  const shared = mapping !== 'address-and-port-dependent';
  const translate = shared
    ? `iifname lan meta l4proto udp snat to ${outer}${port}
       oifname wan masquerade`
    : 'oifname wan masquerade random, fully-random';
  return `
    table ip nat {}
    delete table ip nat
    table ip filter {}
    delete table ip filter
    table ip nat {
      map behind {
        typeof udp dport : ip daddr . udp dport
        flags dynamic, timeout; timeout ${lifetime}s; size 4096;
      }
      chain postrouting {
        type nat hook postrouting priority srcnat;
        ${translate}
      }
      chain translated {
        type filter hook postrouting priority srcnat + 1;
        ${shared ? `ct direction original ip saddr ${outer} meta l4proto udp update @behind { udp sport : ct original ip saddr . ct original proto-src }` : ''}
      }
      chain prerouting {
        type nat hook prerouting priority dstnat;
        ${hairpinning ? '' : 'iifname wan'} ip daddr ${outer} dnat to udp dport map @behind
      }
    }
    table ip filter {
      ct timeout usual {
        protocol udp;
        policy = { unreplied : ${lifetime}, replied : ${lifetime} }
      }
      set met {
        typeof ip saddr . udp sport . ip daddr
        flags dynamic, timeout; timeout ${lifetime}s; size 4096;
      }
      chain zone {
        type filter hook prerouting priority raw;
        meta l4proto udp ct zone set ${seed}
        meta l4proto != udp ct zone set ${zone}
      }
      chain lifetime {
        type filter hook prerouting priority filter;
        meta l4proto udp ct timeout set "usual"
      }
      chain forward {
        type filter hook forward priority filter; policy drop;
        iifname lan meta l4proto udp update @met { ip saddr . udp sport . ip daddr }
        iifname lan accept
        ct state established,related accept
        ${admit[filtering]}
      }
      chain input {
        type filter hook input priority filter;
        iifname wan meta l4proto udp drop
      }
    }`;
}

/** The ruleset of a router that has nothing but one host, `inner`, which everybody reaches at the router's address. */
export function staticNatRules(outer: string, inner: string): string {
  return `
    table ip nat {
      chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname wan ip saddr ${inner} snat to ${outer}
      }
      chain prerouting {
        type nat hook prerouting priority dstnat;
        iifname wan ip daddr ${outer} dnat to ${inner}
      }
    }`;
}

/** What is let in beyond answers: forwarding sees the inner destination, after its translation. */
const admit: Record<Dependence, string> = {
  'endpoint-independent': 'iifname wan meta l4proto udp accept',
  'address-dependent': 'iifname wan ip daddr . udp dport . ip saddr @met accept',
  'address-and-port-dependent': '',
};
