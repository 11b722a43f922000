/** How each trouble of a peer is shown: a sign, so that no color is needed to tell them apart, and a style. */
import type { PeerStatus } from '../../protocol/status.ts';
import { type Trouble, troubleOf } from './order.ts';
import type { Style } from './paint.ts';

interface Sign {
  readonly mark: string;
  readonly style: Style;
  /** Of so many peers, in the head. */
  readonly counted: string;
  readonly meaning: string;
}

export const signs: Readonly<Record<Trouble, Sign>> = {
  down: { mark: '✗', style: 'bad', counted: 'down', meaning: 'no link, though there should be one' },
  degraded: {
    ...{ mark: '!', style: 'poor', counted: 'degraded' },
    meaning: 'a tenth is lost, or round trips are several times the shortest',
  },
  relayed: { mark: '~', style: 'fair', counted: 'relayed', meaning: 'by way of a TURN server' },
  none: { mark: '●', style: 'good', counted: 'well', meaning: 'a link without trouble' },
  denied: { mark: '-', style: 'dim', counted: 'denied', meaning: 'no link, by our policy or the peer’s' },
};

export function signOf(peer: PeerStatus): Sign {
  return signs[troubleOf(peer)];
}
