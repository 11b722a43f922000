/** How statements of operators reach every node. News goes to each neighbor once. Who was away learns by digests, with the
 *  first list that new neighbors send each other and with each `alive`: where they differ, all of that operator follows. */
import {
  type SignedStatement,
  type StatementDigests,
  statementsPerMessage,
} from '../../protocol/statement.ts';
import { spend } from './costs.ts';
import { hex } from './environment.ts';
import type { Channel } from './events.ts';
import { channelsByNeighbor } from './flood.ts';
import { tellSoon } from './gossip.ts';
import type { Turn } from './state.ts';
import { differing, statementsOf, type Taken } from './statements.ts';
import { takeStatement } from './verdicts.ts';

/** Takes in what `teller`, a neighbor or nobody, says of operators, and has what is new passed on. */
export function hearStatement(turn: Turn, signed: SignedStatement, teller: string): Taken {
  const { mesh } = turn;
  const taken = takeStatement(turn, signed);
  const text = hex(signed.statement);
  if (taken === 'known') mesh.statementNews.get(text)?.knowers.add(teller);
  if (taken !== 'new') return taken;
  mesh.statementNews.set(text, { signed, knowers: new Set([teller]) });
  tellSoon(turn);
  return taken;
}

/** A neighbor has told what it has of its operators. */
export function compareStatements(turn: Turn, channel: Channel, theirs: StatementDigests | undefined): void {
  const { mesh, env } = turn;
  const { statements } = mesh.membership;
  const neighbor = mesh.neighbors.get(channel)?.id;
  if (theirs === undefined || neighbor === undefined) return;
  const operators = differing(statements, theirs, env.digest);
  if (operators.length === 0 || !spend(mesh, neighbor, 'statements', env.now)) return;
  const all = operators.flatMap((operator) => statementsOf(statements, operator));
  send(
    turn,
    channel,
    all.map(({ signed }) => signed),
  );
}

/** Sends the gathered statements to every neighbor that did not bring them. */
export function flushStatements(turn: Turn): void {
  const { statementNews } = turn.mesh;
  if (statementNews.size === 0) return;
  for (const [id, channel] of channelsByNeighbor(turn)) {
    const unknown = [...statementNews.values()].filter(({ knowers }) => !knowers.has(id));
    send(
      turn,
      channel,
      unknown.map(({ signed }) => signed),
    );
  }
  statementNews.clear();
}

function send({ effects }: Turn, channel: Channel, all: readonly SignedStatement[]): void {
  for (let at = 0; at < all.length; at += statementsPerMessage) {
    const statements = all.slice(at, at + statementsPerMessage);
    effects.push({ type: 'send', channel, message: { type: 'members', entries: [], statements } });
  }
}
