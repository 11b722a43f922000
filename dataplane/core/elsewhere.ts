/**
 * Where the peer of a direct path is as well, as it says by signaling: a NAT has given it another address, from which
 * nothing of it may get through before we have sent something there. It is asked there while its path does not answer.
 */

/** Milliseconds for which such an address is worth a try. */
const lifetime = 10_000;
/** Milliseconds from one question to the next: the NAT on our side opens with ours, that of the peer with the peer's. */
const pauses = [150, 150, 300, 600, 1200];
/** The latest that were told. */
const most = 3;

export interface Place {
  readonly address: string;
  readonly port: number;
}

interface Told extends Place {
  readonly until: number;
  asked: number;
  askAt: number;
}

export type Elsewhere = Told[];

/** The peer says so. */
export function tell(places: Elsewhere, { address, port }: Place, now: number): void {
  const known = places.findIndex((place) => place.address === address && place.port === port);
  if (known >= 0) places.splice(known, 1);
  places.push({ address, port, until: now + lifetime, asked: 0, askAt: now });
  if (places.length > most) places.shift();
}

export function nextDeadline(places: Elsewhere): number | undefined {
  return places.length === 0 ? undefined : Math.min(...places.map(({ askAt }) => askAt));
}

/** Where to ask now. Forgets those that were asked often enough. */
export function due(places: Elsewhere, now: number): Place[] {
  const asked: Place[] = [];
  for (const place of [...places]) {
    if (now >= place.until || place.asked >= pauses.length) places.splice(places.indexOf(place), 1);
    else if (now >= place.askAt) {
      place.askAt = now + pauses[place.asked++]!;
      asked.push(place);
    }
  }
  return asked;
}
