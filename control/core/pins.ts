/**
 * The one place that knows which key may speak for an ID. A key is pinned when its node proves that it has it, never by
 * hearsay. Keys are in hexadecimal. What an operator wrote may be a fingerprint, which is no key and so refuses every one,
 * until the key that it is of has been seen (`recognize`).
 *
 *             proved by a handshake            a link with it is up
 *     free ─────────────────────────► met ───────────────────────────► kept, a line in the state directory
 *      ▲                               │ a day without a link, or others need the room
 *      └───────────────────────────────┘
 *     named    by the operator: no other key counts for that ID
 *     accepted by a statement of an operator: nor for this one, unless it is named
 *
 * A key has one ID. It may take another one once the node of the first is gone: then the node was renamed.
 */

import { isFingerprint } from '../../protocol/fingerprint.ts';
import { type Digest, fingerprintOfPin } from './fingerprint.ts';

/** Keys kept at most, each a line in the state directory. */
export const maxKept = 65_536;

/** Met keys that are remembered. The one met longest ago is dropped first. */
const maxMet = 4096;

/** Milliseconds for which a met key is remembered after its last proof. */
const metLifetime = 86_400_000;

export interface Pins {
  /** Named by the operator. */
  readonly named: Map<string, string>;
  readonly accepted: Map<string, string>;
  kept: Map<string, string>;
  readonly met: Map<string, { readonly key: string; readonly at: number }>;
  /** The ID of each of these keys. */
  readonly ids: Map<string, string>;
  /** Keys that the operator has replaced. */
  readonly former: Map<string, string>;
}

export function newPins(named: ReadonlyMap<string, string>, kept: ReadonlyMap<string, string>): Pins {
  const pins: Pins = {
    ...{ named: new Map(named), accepted: new Map(), kept: new Map(), met: new Map() },
    ...{ ids: new Map(), former: new Map() },
  };
  replaceKept(pins, kept);
  return pins;
}

/** The key pinned for `id`, or its fingerprint where the key was not seen yet. */
export function pinOf({ named, accepted, kept, met }: Pins, id: string): string | undefined {
  return named.get(id) ?? accepted.get(id) ?? kept.get(id) ?? met.get(id)?.key;
}

/** IDs named by the operator, then kept ones in the order of their first links. */
export function* knownIds({ named, kept }: Pins): Generator<string> {
  yield* named.keys();
  yield* kept.keys();
}

/** Puts `key` in the place of its fingerprint, where the operator gave that alone for `id`. */
export function recognize(pins: Pins, id: string, key: string, digest: Digest): void {
  for (const given of [pins.named, pins.accepted, pins.kept]) {
    const pin = given.get(id);
    if (pin === undefined || !isFingerprint(pin) || pin !== fingerprintOfPin(key, digest)) continue;
    given.set(id, key);
    pins.ids.delete(pin);
    if (!pins.ids.has(key)) pins.ids.set(key, id);
  }
}

/** `key` was proven for `id`, which has no other pin. */
export function meet(pins: Pins, id: string, key: string, now: number): void {
  const before = pins.ids.get(key);
  if (before !== undefined && before !== id) drop(pins, before);
  pins.met.delete(id);
  if (pinOf(pins, id) !== undefined) {
    pins.ids.set(key, id);
    return;
  }
  pins.met.set(id, { key, at: now });
  pins.ids.set(key, id);
  const [oldest] = pins.met.keys();
  if (pins.met.size > maxMet) drop(pins, oldest!);
}

/** Keeps the key of `id`. True if it was not kept before and so has to be written. Without room it stays met. */
export function keep(pins: Pins, id: string, key: string): boolean {
  const before = pins.kept.get(id);
  if (pins.named.has(id) || before === key) return false;
  if (before === undefined ? pins.kept.size >= maxKept : pins.accepted.get(id) !== key) return false;
  pins.met.delete(id);
  pins.kept.set(id, key);
  pins.ids.set(key, id);
  return true;
}

/** Takes what the state directory has. Returns the IDs whose pin is another one now, or none. A fingerprint of the key that
 *  the ID has had is no other pin. */
export function replaceKept(pins: Pins, kept: ReadonlyMap<string, string>, digest?: Digest): string[] {
  const before = new Map([...pins.kept.keys(), ...kept.keys()].map((id) => [id, pinOf(pins, id)]));
  for (const id of before.keys()) pins.met.delete(id);
  pins.kept = new Map();
  pins.ids.clear();
  for (const [id, { key }] of pins.met) pins.ids.set(key, id);
  for (const [id, pin] of kept) {
    const had = before.get(id);
    const isSame = had !== undefined && digest !== undefined && pin === fingerprintOfPin(had, digest);
    const key = isSame ? had : pin;
    const other = pins.ids.get(key);
    // Of two lines with one key the last counts, because the node was renamed.
    if (other !== undefined) drop(pins, other);
    pins.kept.set(id, key);
    pins.ids.set(key, id);
  }
  for (const [id, key] of [...pins.accepted, ...pins.named]) pins.ids.set(key, id);
  const changed = [...before].filter(([id, key]) => pinOf(pins, id) !== key);
  for (const [id, key] of changed)
    if (key !== undefined && pinOf(pins, id) !== undefined) pins.former.set(id, key);
  return changed.map(([id]) => id);
}

/** Takes what the operator names now. Returns the IDs whose pin is another one now, or none. */
export function replaceNamed(pins: Pins, named: ReadonlyMap<string, string>, digest: Digest): string[] {
  const before = new Map([...pins.named.keys(), ...named.keys()].map((id) => [id, pinOf(pins, id)]));
  pins.named.clear();
  for (const [id, pin] of named) {
    const had = before.get(id);
    pins.named.set(id, had !== undefined && pin === fingerprintOfPin(had, digest) ? had : pin);
  }
  const also = replaceKept(pins, new Map(pins.kept), digest);
  const changed = [...before].filter(([id, key]) => pinOf(pins, id) !== key);
  for (const [id, key] of changed)
    if (key !== undefined && pinOf(pins, id) !== undefined) pins.former.set(id, key);
  return [...new Set([...changed.map(([id]) => id), ...also])];
}

/** Operators have the key with this fingerprint speak for `id`, or no certain one any more. True if its pin is another one
 *  now. */
export function acceptKey(pins: Pins, id: string, fingerprint: string | undefined, digest: Digest): boolean {
  const before = pinOf(pins, id);
  const fits = (pin: string | undefined) =>
    pin !== undefined && fingerprintOfPin(pin, digest) === fingerprint;
  if (fingerprint === undefined) pins.accepted.delete(id);
  else pins.accepted.set(id, [before, pins.kept.get(id)].find(fits) ?? fingerprint);
  const met = pins.met.get(id)?.key;
  if (fingerprint !== undefined && met !== undefined && !fits(met)) pins.met.delete(id);
  const after = pinOf(pins, id);
  if (after === before) return false;
  if (before !== undefined && pins.ids.get(before) === id) pins.ids.delete(before);
  if (after !== undefined) pins.ids.set(after, id);
  if (before !== undefined && after !== undefined) pins.former.set(id, before);
  return true;
}

/** Drops the key that was met or kept for `id`. One that operators have accepted counts on, and is kept again once it is
 *  linked: so it does not matter whether that was heard before. True if it was kept. */
export function forgetKey(pins: Pins, id: string): boolean {
  const accepted = pins.accepted.get(id);
  const wasKept = pins.kept.has(id);
  drop(pins, id);
  if (accepted !== undefined) pins.ids.set(accepted, id);
  return wasKept;
}

/** The operator has replaced this key of `id` by the one that it has now. */
export function isFormer({ former }: Pins, id: string, key: string): boolean {
  return former.get(id) === key;
}

/** Drops keys that were met too long ago and never linked. */
export function settlePins(pins: Pins, now: number): void {
  for (const [id, { at }] of pins.met) {
    if (now - at < metLifetime) return;
    drop(pins, id);
  }
}

function drop(pins: Pins, id: string): void {
  for (const key of [pins.kept.get(id), pins.met.get(id)?.key]) {
    if (key !== undefined && pins.ids.get(key) === id) pins.ids.delete(key);
  }
  pins.kept.delete(id);
  pins.met.delete(id);
}
