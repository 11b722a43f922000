/**
 * Whether the full packets of one connection arrive: those of the length that its engine sends, which is more than some
 * paths take. A reducer; the shell sends a long message on `data`, which is not repeated when it is lost and holds up
 * nothing, and a ping behind it on `wire`.
 *
 *              one is answered
 *     asking ──────────────────► arrive: asked again after a while, for paths change
 *        │                          │
 *        └──────────────────────────┴── as many as `enough` are not, in a row, while the pings behind them are ──► lost
 *
 * Nothing is asked while the direct path takes all packets of the interface.
 */

/** Milliseconds between an ask that was not answered and the next: what is lost together is lost once. */
const pause = 250;
/** The same where one has arrived before: packets may queue for seconds by now, and the pings behind them go past. */
const longPause = 2000;
/** Milliseconds for the direct path of a new connection to show what it takes, before its datachannel is asked. */
export const directPatience = 500;
/** Milliseconds until what arrived, or did not, is asked again. */
export const lookAgain = 60_000;
/** Of packets that are lost by chance, one in twenty say, hardly so many are lost in a row. */
const enough = 4;
/** After so many the next connection takes no chance. */
const suspicious = 2;

export interface FullPackets {
  phase: 'asking' | 'arrive' | 'lost';
  /** The number of the last ask and of the ping behind it; 0 before the first. */
  number: number;
  /** That ask was not answered, nor were so many before it. */
  missed: number;
  /** Of the next ask; null while the last one may be answered, and once they are lost. Milliseconds. */
  askAt: number | null;
}

export type FullPacketsEvent =
  /** `number`: of the ping that the shell sends next. `spare`: the direct path takes all packets of the interface. */
  | { readonly type: 'tick'; readonly number: number; readonly spare: boolean }
  /** It does not any more. */
  | { readonly type: 'needed' }
  | { readonly type: 'answered' }
  /** A ping was. */
  | { readonly type: 'pong'; readonly number: number };

/** `ask`: send one, and then the ping. */
export type FullPacketsEffect = 'ask' | 'lost';

/** The first ask is at `askAt`, milliseconds. */
export function newFullPackets(askAt: number): FullPackets {
  return { phase: 'asking', number: 0, missed: 0, askAt };
}

/** Whether they are lost, as far as is known of a connection that ends. */
export function isSuspicious({ phase, missed }: FullPackets): boolean {
  return phase === 'lost' || missed >= suspicious;
}

/** Changes `state` in place. */
export function step(state: FullPackets, event: FullPacketsEvent, now: number): FullPacketsEffect[] {
  if (state.phase === 'lost') return [];
  if (event.type === 'answered') {
    state.phase = 'arrive';
    state.missed = 0;
    state.askAt = now + lookAgain;
  } else if (event.type === 'tick') {
    if (state.askAt === null || now < state.askAt) return [];
    if (event.spare) {
      state.askAt = now + lookAgain;
      return [];
    }
    state.number = event.number;
    state.askAt = null;
    return ['ask'];
  } else if (event.type === 'needed') {
    if (state.number === 0) state.askAt = now;
  } else if (state.number > 0 && state.askAt === null && event.number >= state.number) {
    state.missed += 1;
    state.askAt = now + (state.phase === 'arrive' ? longPause : pause);
    if (state.missed < enough) return [];
    state.phase = 'lost';
    state.askAt = null;
    return ['lost'];
  }
  return [];
}
