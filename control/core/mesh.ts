/**
 * The mesh as one node sees it: a reducer over `MeshEvent`, whose effects the shell runs. `step` changes the state in
 * place and returns the effects; it never waits, logs, reads a clock or throws for something a peer can cause.
 *
 *     neighbors ──► gossip ──► membership ──► links ──► negotiation ──► dataplane
 *         ▲                                     ▲            │              │
 *         └───────────────── flood ◄────────────┼────────────┘              │
 *                                               └───────── reports ◄────────┘
 */
import { everyone, type NeighborMessage } from '../../protocol/signaling.ts';
import { ownCandidate } from './candidates.ts';
import type { MeshConfig } from './config.ts';
import { settleAccounts, spend } from './costs.ts';
import type { Environment } from './environment.ts';
import { correct, settleEpochs } from './epoch.ts';
import type { Channel, Effect, MeshEvent } from './events.ts';
import { arrive, sendBody } from './flood.ts';
import { flushNews, receiveAlive, receiveMembers, sayAlive, takeRecord, welcome } from './gossip.ts';
import { acceptedBy, prove, settleIdentities } from './identity.ts';
import { isOpen, isUp } from './link.ts';
import { answerView, askView } from './link-view.ts';
import { leave } from './membership.ts';
import { describe, endAttempt, receiveBody, retryOutstanding, startOver, tend } from './negotiation.ts';
import { takeNames, takeWishes } from './path-wish.ts';
import { settlePins } from './pins.ts';
import { takeFigures } from './quality.ts';
import { within } from './quotas.ts';
import { renewalDue } from './renewal.ts';
import { adopt, dropReports, forgetSilent, takeReport } from './reports.ts';
import { looking } from './signatures.ts';
import {
  addChannel,
  dropChannel,
  type Mesh,
  notice,
  publish,
  removeLink,
  type Turn,
  takeConfig,
} from './state.ts';
import { compareStatements, flushStatements, hearStatement } from './statement-gossip.ts';
import { receiveClaim, receiveRefusal, rejectStranger, takeNamed, takePins } from './strangers.ts';
import { endOverdue, tryDue } from './tries.ts';
import { settleTwin } from './twin.ts';
import { takeOperators } from './verdicts.ts';
import { stranded, waitForWebSocket } from './websocket-route.ts';

export function step(mesh: Mesh, event: MeshEvent, env: Environment): Effect[] {
  const turn: Turn = { mesh, env, effects: [] };
  if (!mesh.stopped) take(turn, event);
  if (!mesh.stopped) tryDue(turn);
  if (mesh.statementsChanged) {
    mesh.statementsChanged = false;
    turn.effects.push({ type: 'statements' });
  }
  return turn.effects;
}

/** When to `step` with a `tick` next, and why. */
export function nextDeadline(mesh: Mesh): { at: number; reason: string } {
  let next = { at: mesh.checkAt, reason: 'check' };
  const consider = (at: number | null, reason: string) => {
    if (at !== null && at < next.at) next = { at, reason };
  };
  consider(mesh.aliveAt, 'alive');
  consider(mesh.newsAt, 'news');
  if (!mesh.dataplaneUp) return next;
  for (const link of mesh.links.values()) {
    if (link.attempts.size === 0) continue;
    for (const attempt of link.attempts.values()) {
      consider(attempt.flushAt, 'candidates');
      if (!isOpen(attempt)) consider(attempt.deadline, 'negotiation timeout');
      consider(renewalDue(link, attempt), 'relay ends');
      if (attempt.state.phase === 'offered') consider(attempt.repeatAt, 'no answer');
    }
    consider(link.retireAt, 'relay retired');
  }
  consider(mesh.tryAt, 'retry');
  return next;
}

function take(turn: Turn, event: MeshEvent): void {
  const { mesh } = turn;
  switch (event.type) {
    case 'neighbor-up':
      if (!prove(turn, event.id, event.key, false)) return;
      acceptedBy(turn, event.id);
      addNeighbor(turn, event.channel, event.id);
      return;
    case 'claim':
      receiveClaim(turn, event.id, event.key);
      return;
    case 'refused':
      receiveRefusal(turn, event.by, event.refusal);
      return;
    case 'pins':
      takePins(turn, event.kept);
      return;
    case 'config':
      changeConfig(turn, event.config);
      return;
    case 'statement':
      hearStatement(turn, event.signed, '');
      return;
    case 'neighbor-down':
      neighborGone(turn, event.channel);
      return;
    case 'message':
      receive(turn, event.channel, event.message);
      return;
    case 'dataplane-up':
      mesh.dataplaneUp = true;
      publish(turn, { event: 'dataplane.up' });
      for (const report of event.links) adopt(turn, report);
      for (const link of [...mesh.links.values()]) tend(turn, link);
      return;
    case 'dataplane-down':
      if (mesh.dataplaneUp) publish(turn, { event: 'dataplane.down' });
      mesh.dataplaneUp = false;
      dropReports(turn);
      return;
    case 'described':
      describe(turn, event.peer, event.negotiation, event);
      return;
    case 'candidate':
      ownCandidate(turn, event.peer, event.negotiation, event.candidate);
      return;
    case 'link':
      takeReport(turn, event.report);
      return;
    case 'figures':
      takeFigures(turn, event.links);
      return;
    case 'ended':
      endAttempt(turn, event.peer, event.negotiation, event.reason);
      return;
    case 'explain':
      askView(turn, event.peer, event.number, event.wide);
      return;
    case 'bye':
      takeLeave(turn, event.peer, mesh.membership.members.get(event.peer)?.record.epoch);
      return;
    case 'tick':
      tick(turn);
      return;
    case 'stop':
      sendBody(turn, everyone, { kind: 'bye' });
      mesh.stopped = true;
  }
}

function changeConfig(turn: Turn, config: MeshConfig): void {
  const { policy } = turn.mesh.config;
  takeConfig(turn, config);
  takeNamed(turn);
  takeWishes(turn);
  takeNames(turn, policy);
  takeOperators(turn);
}

/** A new neighbor is a reason to try again what could not be signaled before. Another channel to a known neighbor is not,
 *  and one that comes and goes without end must not undo the pauses of all links. */
function addNeighbor(turn: Turn, channel: Channel, id: string): void {
  const { mesh, env } = turn;
  const isNew = addChannel(turn, channel, id);
  if (spend(mesh, id, 'welcomes', env.now)) welcome(turn, channel);
  const link = mesh.links.get(id);
  if (link !== undefined) waitForWebSocket(turn, link);
  if (isNew && within(mesh.quotas, 'new neighbors', 4, 10_000, env.now)) retryOutstanding(turn);
}

function neighborGone(turn: Turn, channel: Channel): void {
  const { mesh } = turn;
  const peer = mesh.neighbors.get(channel)?.id;
  dropChannel(turn, channel);
  if (peer === undefined) return;
  for (const { negotiation } of stranded(mesh, peer)) {
    turn.effects.push({ type: 'close', peer, negotiation });
    endAttempt(turn, peer, negotiation, 'the WebSocket between the two nodes is gone');
  }
}

function receive(plain: Turn, channel: Channel, message: NeighborMessage): void {
  const { mesh, env } = plain;
  const neighbor = mesh.neighbors.get(channel);
  if (neighbor === undefined) return;
  const turn = { ...plain, env: looking(plain, neighbor.id) };
  const { epoch } = mesh.self;
  const member = mesh.membership.members.get(neighbor.id);
  if (member !== undefined) member.heardAt = env.now;
  switch (message.type) {
    case 'alive':
      receiveAlive(turn, channel, message);
      compareStatements(turn, channel, message.statementDigests);
      break;
    case 'members':
      receiveMembers(turn, channel, message);
      for (const signed of message.statements ?? []) hearStatement(turn, signed, neighbor.id);
      compareStatements(turn, channel, message.statementDigests);
      if (mesh.self.epoch !== epoch) startOver(turn);
      break;
    case 'flood': {
      const body = arrive(turn, neighbor.id, message);
      if (body === undefined) {
        if (message.sender !== undefined && message.to === mesh.self.id) {
          correct(turn, message.sender, channel);
          rejectStranger(turn, message, neighbor.id);
        }
        return;
      }
      if (message.sender !== undefined)
        takeRecord(turn, { ...message.sender, age: 0 }, message.from, channel);
      if (!mesh.membership.members.has(body.from)) return;
      if (body.kind === 'bye') {
        takeLeave(turn, body.from, body.epoch);
      } else if (body.kind === 'explain') {
        answerView(turn, body);
      } else if (body.kind === 'explained') {
        const { from: peer, number, view } = body;
        if (body.to === mesh.self.id) turn.effects.push({ type: 'explained', peer, number, view });
      } else {
        receiveBody(turn, body);
      }
    }
  }
}

function takeLeave(turn: Turn, peer: string, epoch: number | undefined): void {
  if (epoch === undefined || !leave(turn.mesh.membership, peer, epoch)) return;
  notice(turn, 'info', 'peer left', { peer });
  publish(turn, { event: 'peer.left', peer });
  removeLink(turn, peer, 'the peer has left');
}

function tick(turn: Turn): void {
  const { mesh, env } = turn;
  if (mesh.newsAt !== null && env.now >= mesh.newsAt) {
    flushNews(turn);
    flushStatements(turn);
  }
  if (env.now >= mesh.aliveAt) {
    mesh.aliveAt = env.now + mesh.config.aliveInterval * (1 - 0.1 * env.random());
    sayAlive(turn);
  }
  if (env.now >= mesh.checkAt) {
    mesh.checkAt = env.now + mesh.config.checkInterval;
    if ([...mesh.links.values()].some(isUp)) turn.effects.push({ type: 'measure' });
    forgetSilent(turn);
    settleEpochs(turn);
    settleTwin(turn);
    settleAccounts(turn);
    settleIdentities(turn);
    settlePins(mesh.membership.pins, env.now);
  }
  endOverdue(turn);
  for (const link of [...mesh.links.values()]) if (link.attempts.size > 0) tend(turn, link);
}
