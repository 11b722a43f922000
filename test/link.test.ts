import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newAgreedMtu } from '../dataplane/core/agreed-mtu.ts';
import {
  isOpen,
  type LinkEffect,
  type LinkEvent,
  type Links,
  newLinks,
  nextDeadline,
  step,
} from '../dataplane/core/link.ts';
import { reportOf } from '../dataplane/core/report.ts';
import type { WireMessage } from '../protocol/wire.ts';
import { brief, channels, config, connect, ended, hello, newFeed, opening, ourHello } from './link-feed.ts';

const pathOf = ({ byPeer }: Links) => reportOf(byPeer.get('b')!, { pair: null, interface: null }).path;

test('a link is up once all three channels are open and both hellos agree, in whatever order', () => {
  const events = opening('b', '1');
  for (const order of [events, [...events].reverse(), [events[1]!, events[3]!, events[0]!, events[2]!]]) {
    const feed = newFeed();
    feed(connect('b', '1'));
    assert.ok(!brief(feed(...order.slice(0, 3))).includes('open-interface 1500'));
    assert.deepEqual(
      brief(feed(order[3]!)).filter((line) => !line.startsWith('wire')),
      ['open-interface 1500', 'carrier up'],
    );
  }
});

test('the hello is said as soon as the wire channel is open', () => {
  const feed = newFeed();
  feed(connect('b', '1'));
  const [first] = feed({ type: 'open', peer: 'b', negotiation: '1', channel: 'wire' });
  assert.deepEqual(first, { type: 'send-wire', peer: 'b', negotiation: '1', message: ourHello });
});

test('the interface is opened once, loses its carrier with the path, and has it again with the next', () => {
  const feed = newFeed();
  feed(connect('b', '1'), ...opening('b', '1'));
  assert.deepEqual(brief(feed(ended('b', '1'))), ['ended 1 (no path)', 'carrier down']);
  feed(connect('b', '2'));
  assert.deepEqual(brief(feed(...opening('b', '2'))), ['wire hello on 2', 'carrier up']);
  assert.deepEqual(brief(feed({ type: 'remove', peer: 'b' })), ['close 2', 'close-interface']);
});

test('a link has its interface once ICE has a pair, and is up once packets of its MTU pass by the direct path, before there are channels', () => {
  const links = newLinks({ ...config, autoMtu: true });
  const feed = newFeed(links);
  const paired: LinkEvent = { type: 'paired', peer: 'b', negotiation: '1', mtu: 1400 };
  assert.deepEqual(feed(paired), [], 'of no connection');
  feed(connect('b', '1'));
  assert.deepEqual(
    feed(paired).map((effect) => effect.type),
    ['open-interface', 'ready'],
  );
  const fits = (bytes: number): LinkEvent => ({ type: 'fits', peer: 'b', bytes, searching: true });
  const direct = (up: boolean): LinkEvent => ({ type: 'direct', peer: 'b', up });
  assert.deepEqual(brief(feed(fits(1216), direct(true))), [], 'longer ones would be lost');
  assert.equal(pathOf(links), null);
  assert.deepEqual(brief(feed(fits(1336))), ['carrier up']);
  assert.equal(pathOf(links), 'direct');
  assert.deepEqual(brief(feed(fits(1216))), [], 'that costs no link that is up');
  assert.deepEqual(brief(feed(direct(false), direct(true))), ['carrier down', 'carrier up']);
  assert.deepEqual(brief(feed(...opening('b', '1'))), ['wire hello on 1']);
});

test('a path that is too narrow for the least MTU waits for the datachannel, which takes the longer packets', () => {
  const feed = newFeed(newLinks({ ...config, autoMtu: true }));
  feed(connect('b', '1'), { type: 'paired', peer: 'b', negotiation: '1', mtu: 1280 });
  feed({ type: 'fits', peer: 'b', bytes: 1236, searching: false }, { type: 'direct', peer: 'b', up: true });
  const [signal, wire, data, said] = opening('b', '1');
  assert.deepEqual(brief(feed(signal!, wire!, data!)), ['wire hello on 1']);
  assert.deepEqual(brief(feed(said!)), ['carrier up']);
});

test('a shared connection takes over from a relayed one without a gap, and back', () => {
  const links = newLinks(config);
  const feed = newFeed(links);
  feed(connect('b', 'r', 'relay'), ...opening('b', 'r'), connect('b', 's'));
  assert.equal(links.byPeer.get('b')!.active, 'r');
  assert.deepEqual(brief(feed(...opening('b', 's'))), ['wire hello on s']);
  assert.equal(links.byPeer.get('b')!.active, 's');
  assert.deepEqual(brief(feed(ended('b', 's'))), ['ended s (no path)']);
  assert.equal(links.byPeer.get('b')!.active, 'r');
});

test('each side says whether its end is relayed, and remembers it of the other', () => {
  for (const relayed of [true, false]) {
    const links = newLinks(config);
    const feed = newFeed(links);
    const at = { peer: 'b', negotiation: 'r' };
    const opened = channels.map((channel): LinkEvent => ({ type: 'open', ...at, channel, relayed }));
    const effects = feed(connect('b', 'r', 'relay'), ...opened);
    const [said] = effects.flatMap((effect) => (effect.type === 'send-wire' ? [effect.message] : []));
    assert.deepEqual(said, relayed ? { ...ourHello, relayed: true } : ourHello);
    feed({ type: 'wire', ...at, message: { ...hello, relayed } });
    assert.equal(links.byPeer.get('b')!.connections.get('r')!.peerRelayed, relayed);
  }
});

test('a relayed connection that opens beside a shared one changes nothing', () => {
  const links = newLinks(config);
  const feed = newFeed(links);
  feed(connect('b', 's'), ...opening('b', 's'), connect('b', 'r', 'relay'));
  assert.deepEqual(brief(feed(...opening('b', 'r'))), ['wire hello on r']);
  assert.equal(links.byPeer.get('b')!.active, 's');
});

test('a relayed connection that is to be replaced carries until the other does, and no shared one stays', () => {
  const links = newLinks(config);
  const feed = newFeed(links);
  feed(connect('b', '1', 'relay'), ...opening('b', '1'));
  const replacing = (negotiation: string, route: 'shared' | 'relay', replaces: string): LinkEvent => ({
    ...{ type: 'connect', peer: 'b', negotiation, route, replaces },
  });
  assert.deepEqual(brief(feed(replacing('2', 'relay', '1'))), []);
  assert.equal(links.byPeer.get('b')!.active, '1');
  assert.deepEqual(brief(feed(replacing('3', 'relay', '1'))), ['close 2'], 'of replacements there is one');
  assert.deepEqual(brief(feed(...opening('b', '3'))), ['wire hello on 3']);
  assert.equal(links.byPeer.get('b')!.active, '3');
  assert.deepEqual(brief(feed({ type: 'close', peer: 'b', negotiation: '1' })), ['close 1']);
  feed(connect('b', '4'), ...opening('b', '4'));
  assert.deepEqual(brief(feed(replacing('5', 'shared', '4'))), ['close 4']);
});

test('a new connection closes the old one of its route, unasked for by control', () => {
  const feed = newFeed();
  feed(connect('b', '1'), ...opening('b', '1'));
  assert.deepEqual(brief(feed(connect('b', '2'))), ['close 1', 'carrier down']);
  assert.deepEqual(brief(feed(connect('b', 'r', 'relay'))), []);
});

test('the MTU is the smaller of both interfaces’, and follows the connection', () => {
  const feed = newFeed();
  feed(connect('b', '1'));
  assert.ok(brief(feed(...opening('b', '1', { ...hello, mtu: 1400 }))).includes('open-interface 1400'));
  feed(ended('b', '1'), connect('b', '2'));
  assert.ok(brief(feed(...opening('b', '2', { ...hello, mtu: 9000 }))).includes('set-mtu 1500'));
});

const disagreements: readonly [what: string, message: WireMessage, reason: RegExp][] = [
  [
    'only the peer has packet information',
    { ...hello, packetInformation: true },
    /--enable-packet-information/,
  ],
  ['the peer speaks another version', { ...hello, version: 7 }, /version 7/],
];

for (const [what, message, reason] of disagreements) {
  test(`${what}: the connection is closed, and the reason is told`, () => {
    const links = newLinks(config);
    const feed = newFeed(links);
    feed(connect('b', '1'));
    const effects = feed(...opening('b', '1', message));
    assert.deepEqual(
      brief(effects).filter((line) => line.startsWith('close')),
      ['close 1'],
    );
    const told = effects.find((effect) => effect.type === 'tell-ended');
    assert.match(told?.reason ?? '', reason);
    assert.match(links.byPeer.get('b')!.reason, reason);
    assert.ok(!effects.some((effect) => effect.type === 'open-interface'));
  });
}

test('an interface that cannot be opened ends every connection of the link, and the next gets a new one', () => {
  const links = newLinks(config);
  const feed = newFeed(links);
  feed(connect('b', 's'), ...opening('b', 's'), connect('b', 'r', 'relay'), ...opening('b', 'r'));
  const effects = feed({ type: 'interface-failed', peer: 'b', reason: 'no permission' });
  assert.deepEqual(brief(effects).sort(), [
    'carrier down',
    'close r',
    'close s',
    'ended r (no permission)',
    'ended s (no permission)',
  ]);
  assert.deepEqual(links.byPeer.get('b'), {
    peer: 'b',
    connections: new Map(),
    active: null,
    direct: false,
    fits: 0,
    hasInterface: false,
    wasUp: false,
    mtu: newAgreedMtu(1500, 1500),
    reason: 'no permission',
  });
  feed(connect('b', '2'));
  assert.ok(brief(feed(...opening('b', '2'))).includes('open-interface 1500'));
});

test('a connection that does not open within a minute is closed, and control and its view of the link learn of it', () => {
  const links = newLinks(config);
  step(links, connect('b', '1'), 1000);
  step(links, connect('b', 'r', 'relay'), 2000);
  assert.equal(nextDeadline(links), 61_000);
  assert.deepEqual(step(links, { type: 'tick' }, 60_999), []);
  const effects = step(links, { type: 'tick' }, 61_000);
  assert.deepEqual(brief(effects), ['close 1', 'ended 1 (timed out)']);
  assert.ok(effects.some(({ type }) => type === 'tell-link'));
  assert.equal(nextDeadline(links), 62_000);
  for (const event of opening('b', 'r')) step(links, event, 2500);
  assert.equal(nextDeadline(links), undefined);
  assert.deepEqual(step(links, { type: 'tick' }, 1e9), [], 'what is open stays');
});

test('what names no link or no connection of it has no effect', () => {
  const links = newLinks(config);
  const feed = newFeed(links);
  const strangers = (peer: string, negotiation: string): LinkEvent[] => [
    ...opening(peer, negotiation),
    ended(peer, negotiation),
    { type: 'close', peer, negotiation },
  ];
  assert.deepEqual(
    feed(
      ...strangers('x', '1'),
      { type: 'remove', peer: 'x' },
      { type: 'interface-failed', peer: 'x', reason: '' },
    ),
    [],
  );
  assert.equal(links.byPeer.size, 0);
  feed(connect('b', '1'), ...opening('b', '1'));
  assert.deepEqual(brief(feed(...strangers('b', '2'))), []);
});

test('pings and pongs are none of its business', () => {
  const feed = newFeed();
  feed(connect('b', '1'));
  assert.deepEqual(
    feed({ type: 'wire', peer: 'b', negotiation: '1', message: { type: 'ping', number: 1 } }),
    [],
  );
  assert.deepEqual(
    feed({ type: 'wire', peer: 'b', negotiation: '1', message: { type: 'pong', number: 1 } }),
    [],
  );
});

/** What a shell that obeys every effect has. */
class Model {
  readonly #interfaces = new Set<string>();
  readonly #carrier = new Set<string>();
  /** Connections that were made and have not ended, by `peer negotiation`. */
  readonly #connections = new Set<string>();
  readonly #told = new Set<string>();
  #made = 0;

  /** Events that may come next: a negotiation is made once, an interface fails where there is one. */
  before(event: LinkEvent): LinkEvent | undefined {
    if (event.type === 'connect') {
      const fresh = { ...event, negotiation: `${event.negotiation}${this.#made++}` };
      this.#connections.add(`${fresh.peer} ${fresh.negotiation}`);
      return fresh;
    }
    if (event.type === 'interface-failed' && !this.#interfaces.delete(event.peer)) return undefined;
    if (event.type === 'ended') this.#connections.delete(`${event.peer} ${event.negotiation}`);
    return event;
  }

  /** Of the connections with this peer, one; made up where there is none. */
  pick(peer: string, index: number): string {
    const own = [...this.#connections].filter((key) => key.startsWith(`${peer} `));
    return own.length === 0 ? 'none' : own[index % own.length]!.slice(peer.length + 1);
  }

  after(event: LinkEvent, effects: readonly LinkEffect[]): void {
    for (const effect of effects) {
      const { peer } = effect;
      const key = 'negotiation' in effect ? `${peer} ${effect.negotiation}` : '';
      switch (effect.type) {
        case 'open-interface':
          assert.notEqual(event.type, 'interface-failed', 'opened for connections that are about to end');
          assert.ok(!this.#interfaces.has(peer), 'an interface opened twice');
          this.#interfaces.add(peer);
          break;
        case 'close-interface':
          assert.ok(this.#interfaces.delete(peer), 'an interface closed that is not there');
          this.#carrier.delete(peer);
          break;
        case 'set-mtu':
          assert.ok(this.#interfaces.has(peer), 'an MTU for no interface');
          break;
        case 'set-carrier':
          assert.equal(this.#carrier.has(peer), !effect.up, 'carrier set to what it is');
          if (effect.up) this.#carrier.add(peer);
          else this.#carrier.delete(peer);
          break;
        case 'close-connection':
          assert.ok(this.#connections.delete(key), 'a connection closed twice');
          break;
        case 'tell-ended':
          assert.ok(!this.#told.has(key), 'an end told twice');
          assert.ok(
            event.type !== 'close' && event.type !== 'remove' && event.type !== 'connect',
            event.type,
          );
          this.#told.add(key);
          break;
        case 'ready':
          assert.ok(this.#interfaces.has(peer), 'keys before there is an interface');
          break;
        case 'send-wire':
          assert.ok(this.#connections.has(key));
      }
    }
  }

  check(links: Links): void {
    const alive = new Set<string>();
    for (const link of links.byPeer.values()) {
      for (const negotiation of link.connections.keys()) alive.add(`${link.peer} ${negotiation}`);
      const routes = [...link.connections.values()].map(({ route }) => route);
      assert.equal(new Set(routes).size, routes.length, 'one connection per route');
      const open = [...link.connections.values()].filter(isOpen);
      if (link.active === null) assert.equal(open.length, 0, 'an open connection lies idle');
      else {
        const active = link.connections.get(link.active);
        assert.ok(active !== undefined && isOpen(active), 'the active connection is not open');
        if (open.some(({ route }) => route === 'shared')) assert.equal(active.route, 'shared');
        assert.ok(link.hasInterface);
      }
      assert.equal(this.#carrier.has(link.peer), link.active !== null, 'carrier follows the link');
      assert.equal(this.#interfaces.has(link.peer), link.hasInterface);
    }
    assert.deepEqual([...alive].sort(), [...this.#connections].sort(), 'no connection is lost, none is left');
  }
}

test('whatever happens, in whatever order: interfaces, carriers and connections stay consistent', () => {
  const peer = fc.constantFrom('a', 'b');
  const which = fc.nat(3);
  const message: fc.Arbitrary<WireMessage> = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(hello, { ...hello, mtu: 1300 }, ourHello) },
    { weight: 3, arbitrary: fc.constant<WireMessage>({ type: 'ready' }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<WireMessage>(
        { ...hello, version: 2 },
        { ...hello, packetInformation: true },
        { type: 'ping', number: 1 },
      ),
    },
  );
  const happening = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant('connect'), peer, route: fc.constantFrom('shared', 'relay') }),
    },
    {
      weight: 9,
      arbitrary: fc.record({ type: fc.constant('open'), peer, which, channel: fc.constantFrom(...channels) }),
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('wire'), peer, which, message }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('ended'), peer, which, reason: fc.constant('no path') }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('close'), peer, which }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('interface-failed'), peer, reason: fc.constant('gone') }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('remove'), peer }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('tick') }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('whole'), peer, which }) },
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(happening, fc.constantFrom(1, 10, 61_000)), { maxLength: 60 }),
      (happenings) => {
        const links = newLinks(config);
        const model = new Model();
        let now = 0;
        for (const [each, wait] of happenings) {
          now += wait;
          const { which, ...rest } = { which: 0, peer: '', ...each };
          const negotiation = rest.type === 'connect' ? '' : model.pick(rest.peer, which);
          const events =
            rest.type === 'whole'
              ? opening(rest.peer, negotiation)
              : [{ ...rest, negotiation } as unknown as LinkEvent];
          for (const event of events) {
            const next = model.before(event);
            if (next === undefined) continue;
            const effects = step(links, next, now);
            model.after(next, effects);
            model.check(links);
            const deadline = nextDeadline(links);
            if (next.type === 'tick' && deadline !== undefined)
              assert.ok(deadline > now, 'time stands still');
          }
        }
      },
    ),
    { numRuns: 1500 },
  );
});
