/** What a node finds out about the networks that it is in, by asking STUN servers. */
import * as z from 'zod/mini';

/** Where somebody was seen. */
const place = z.object({ address: z.string(), port: z.int() });

/** RFC 4787: of a mapping, what of the destination it depends on; of a filter, what of the sender must have been sent to.
 *  `none`: there is no NAT, or no filter. `depends`: on the destination, nobody knows on how much of it. */
const mappings = ['none', 'independent', 'address', 'address-and-port', 'depends', 'unknown'] as const;
const filterings = ['independent', 'address', 'address-and-port', 'unknown'] as const;

const familyFound = z.object({
  family: z.enum(['ipv4', 'ipv6']),
  /** Our address towards the servers, and the interface that it leaves by; null where there is no route. */
  address: z.nullable(z.string()),
  interface: z.nullable(z.string()),
  /** Bytes, of that interface. */
  mtu: z.nullable(z.int()),
  servers: z.array(
    z.object({
      /** `host:port` as configured, and what it is at. */
      server: z.string(),
      at: place,
      /** Where it sees us; null where it does not answer. */
      mapped: z.nullable(place),
    }),
  ),
  mapping: z.enum(mappings),
  /** Known only of a server with two addresses (RFC 5780). */
  filtering: z.enum(filterings),
  /** Whether what we send to where we are seen comes back to us; null where that is not asked, without a NAT. */
  hairpin: z.nullable(z.boolean()),
});

export const netcheck = z.object({
  families: z.array(familyFound),
  /** Servers of which no address is known, with the reason. */
  unresolved: z.array(z.object({ server: z.string(), reason: z.string() })),
  /** What peers are told of this node: `host 192.0.2.10:2333`. */
  candidates: z.array(z.string()),
  udpPort: z.int(),
});

export type Netcheck = z.infer<typeof netcheck>;
export type FamilyFound = Netcheck['families'][number];
export type Place = z.infer<typeof place>;
export type Mapping = FamilyFound['mapping'];
export type Filtering = FamilyFound['filtering'];

/** Of one check. */
export const maxNetcheckServers = 4;
