/** Peers whose addresses the kernel would reach by a way that no link may take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attemptWith, closeAfter, inVirtualTime, Pairs, type Side } from './dataplane-pair.ts';
import { waitFor } from './native/wait.ts';

async function routeWarnings(side: Side) {
  const { warnings = [] } = await side.hello();
  return warnings.filter(({ subject }) => subject === 'route');
}

test('a link whose peer is routed through its own interface is lost for that reason, and a warning says what to do', async (context) => {
  const { pairs, a, b, pass } = await inVirtualTime(context);
  await pairs.link(a, b);
  const address = pairs.network.addressOf('b');
  a.tuns.routes.set(address, 'cnb');
  pairs.network.cut('a', 'b');
  await pass(2);
  const words = `the route to ${address} goes through cnb, our own tunnel`;
  assert.equal(a.report('b')!.state, 'lost');
  assert.equal(a.report('b')!.reason, words);
  const [warning] = await routeWarnings(a);
  assert.equal(warning!.peer, 'b');
  assert.ok(
    warning!.message.startsWith(`${words}: keep the addresses that links run over out of the routing daemon`),
  );

  a.tuns.routes.clear();
  pairs.network.heal();
  await pairs.link(a, b);
  await pass(30);
  assert.equal((await routeWarnings(a)).length, 1, 'the routing daemon may only be away with the link');
  await pass(40);
  assert.deepEqual(await routeWarnings(a), []);
});

test('an attempt of which every candidate leads through our interfaces is closed with the reason', async (context) => {
  const pairs = new Pairs();
  const [a, b, c] = [await pairs.add('a'), await pairs.add('b'), await pairs.add('c')];
  closeAfter(context, a, b, c);
  await pairs.link(a, c);
  const address = pairs.network.addressOf('b');
  a.tuns.routes.set(address, 'cnc');
  pairs.mute.add('a');
  const negotiation = await pairs.negotiate(a, b);
  await waitFor('candidates of b', () => b.candidates.length > 0);
  await a.shell.request('close', { peer: 'b', negotiation });
  assert.equal(a.report('b')!.reason, `the route to ${address} goes through cnc, our own tunnel`);
  assert.equal((await routeWarnings(a)).length, 1);
});

test('addresses that a peer makes up beside one that is tried are no reason, and no warning', async (context) => {
  const pairs = new Pairs();
  const [a, b, c] = [await pairs.add('a'), await pairs.add('b'), await pairs.add('c')];
  closeAfter(context, a, b, c);
  await pairs.link(a, c);
  a.tuns.routes.set('10.9.9.9', 'cnc');
  await a.shell.request('offer', attemptWith('b', 'x'));
  for (const address of ['10.9.9.9', '192.0.2.1']) {
    const candidate = `candidate:1 1 UDP 5 ${address} 2333 typ host`;
    a.shell.notification('candidate', { peer: 'b', negotiation: 'x', candidate });
  }
  await a.shell.request('close', { peer: 'b', negotiation: 'x' });
  assert.equal(a.report('b')!.reason, '');
  assert.deepEqual(await routeWarnings(a), []);
});
