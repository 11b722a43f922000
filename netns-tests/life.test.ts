/** What happens to running nodes: all of them stopped for a while, a TURN server that dies and returns. */
import assert from 'node:assert/strict';
import { suite } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { behind } from './lab/behind.ts';
import { runningPair } from './lab/direct.ts';
import { linkTo, meshed, outcome } from './lab/mesh.ts';
import { symmetricNat } from './lab/nat.ts';
import type { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { startTurnServer } from './lab/turn.ts';
import { timed, waitFor } from './lab/wait.ts';

/** Milliseconds: longer than a link takes to be lost, and than a negotiation may. */
const asleep = 12_000;

async function signal(nodes: readonly CryonetNode[], name: NodeJS.Signals): Promise<void> {
  for (const { program } of nodes) process.kill(program.pid, name);
}

suite('both mostly wait', { concurrency: true }, () => {
  story(
    'two nodes that are stopped for twelve seconds and go on are linked as before',
    ['ping'],
    async (lab) => {
      const { a, b, there } = await runningPair(lab);
      const dataplanes = await Promise.all([a, b].map(async (node) => (await node.status()).dataplane.pid!));
      await signal([a, b], 'SIGSTOP');
      for (const pid of dataplanes) process.kill(pid, 'SIGSTOP');
      await pause(asleep);
      await signal([a, b], 'SIGCONT');
      for (const pid of dataplanes) process.kill(pid, 'SIGCONT');
      const { milliseconds } = await timed(() =>
        waitFor(
          'a ping to cross',
          20_000,
          () => ping(a.namespace, there, { count: 1 }),
          ({ received }) => received === 1,
        ),
      );
      lab.figures.push(`a ping crosses ${milliseconds} ms after both go on`);
      const after = await Promise.all([a, b].map(async (node) => (await node.ready()).dataplane.pid!));
      assert.deepEqual(after, dataplanes, 'no dataplane was started anew');
    },
  );

  /*
   *   n0 ── symmetric NAT ──┬── boot
   *                         ├── server (STUN, TURN)
   *   n1 ── symmetric NAT ──┘
   */
  story(
    'a relayed link is lost with its TURN server, and there again after it returns',
    ['turnserver', 'nft', 'ping'],
    async (lab) => {
      const { boot, left, right, server } = await behind(
        lab,
        [symmetricNat(), symmetricNat()],
        ['stun', 'turn'],
      );
      const [first] = await meshed([left, right, boot]);
      assert.equal(outcome(linkTo(first!, right.id)), 'relayed');
      await server.program.stop('SIGKILL');
      await waitFor(
        'the link to be lost',
        45_000,
        () => left.peer(right.id),
        (peer) => peer?.state !== 'up',
      );
      await startTurnServer(server.host);
      const { value, milliseconds } = await timed(() => meshed([left, right, boot]));
      assert.equal(outcome(linkTo(value[0]!, right.id)), 'relayed');
      lab.figures.push(`relayed again ${milliseconds} ms after the server is back`);
    },
    180_000,
  );
});
