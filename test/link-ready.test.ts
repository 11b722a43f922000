import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LinkEvent, newLinks, nextDeadline } from '../dataplane/core/link.ts';
import { brief, config, connect, ended, newFeed, opening, ourHello } from './link-feed.ts';

test('a link is up at neither end before both interfaces are open, and a peer that never is ready is no link', () => {
  const links = newLinks(config);
  const feed = newFeed(links);
  feed(connect('b', '1'));
  const at = { peer: 'b', negotiation: '1' };
  const effects = feed(...opening('b', '1', ourHello));
  assert.deepEqual(brief(effects), ['wire hello on 1', 'open-interface 1500', 'wire ready on 1']);
  const types = effects.map(({ type }) => type);
  const order = ['open-interface', 'ready', 'send-wire'].map((type) => types.lastIndexOf(type as never));
  assert.deepEqual(order, order.toSorted(), 'what the peer seals is opened before it is told to begin');
  assert.equal(links.byPeer.get('b')!.active, null);
  assert.equal(nextDeadline(links), 60_000, 'it still has to come up');
  assert.deepEqual(brief(feed({ type: 'wire', ...at, message: { type: 'ready' } })), ['carrier up']);
  assert.equal(links.byPeer.get('b')!.active, '1');

  feed(ended('b', '1'), connect('b', '2'), ...opening('b', '2', ourHello));
  assert.deepEqual(brief(feed(ended('b', '2', 'closed by the peer'))), ['ended 2 (closed by the peer)']);
});

test('who is ready before its hello, or says so without being asked, is not believed', () => {
  const links = newLinks(config);
  const feed = newFeed(links);
  feed(connect('b', '1'));
  const [signal, wire, data, said] = opening('b', '1', ourHello) as [
    LinkEvent,
    LinkEvent,
    LinkEvent,
    LinkEvent,
  ];
  const ready: LinkEvent = { type: 'wire', peer: 'b', negotiation: '1', message: { type: 'ready' } };
  feed(ready, signal, wire, ready, data, said);
  assert.equal(links.byPeer.get('b')!.active, null);
  feed(ready, ready);
  assert.equal(links.byPeer.get('b')!.active, '1');
});

test('an interface that does not open ends the connection before either end is up', () => {
  const links = newLinks(config);
  const feed = newFeed(links);
  feed(connect('b', '1'), ...opening('b', '1', ourHello));
  const effects = feed({ type: 'interface-failed', peer: 'b', reason: 'no permission' });
  assert.deepEqual(brief(effects), ['close 1', 'ended 1 (no permission)']);
  assert.equal(links.byPeer.get('b')!.wasUp, false);
});
