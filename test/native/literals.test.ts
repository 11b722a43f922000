import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { openNodeDatachannel } from '../../dataplane/io/engine/node-datachannel.ts';
import { loadAddon } from '../../dataplane/io/native.ts';
import { inNamespace } from './namespace.ts';

const silent = {
  candidate() {},
  state() {},
  open() {},
  message() {},
  drain() {},
  paired() {},
  unserved() {},
  misused() {},
};

if (inNamespace(import.meta.filename, 'literal addresses are taken whatever addresses the host has')) {
  for (const command of [
    'link set lo up',
    'link add eth0 type veth peer name far',
    'link set eth0 up',
    // glibc overlooks 127.0.0.1: for it this host has IPv6 alone.
    'addr add 2001:db8::1/64 dev eth0 nodad',
  ]) {
    execFileSync('ip', command.split(' '));
  }

  test('an IPv4 candidate is checked on a host with IPv6 alone', { timeout: 20_000 }, async (context) => {
    const engine = await openNodeDatachannel({ udpPort: 0, fixed: false });
    context.after(() => engine.close());
    const peer = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    context.after(() => peer.close());
    await once(peer, 'listening');
    const connect = () => engine.connect({ route: 'shared', iceServers: [] }, silent);
    const [offerer, answerer] = [connect(), connect()];
    await answerer.answer(await offerer.offer());
    answerer.addCandidate(`candidate:1 1 UDP 2122317823 127.0.0.1 ${peer.address().port} typ host`);
    const [request] = await once(peer, 'message');
    assert.equal(request.readUInt32BE(4), 0x2112a442, 'the magic cookie of STUN (RFC 8489 5)');
  });

  test('an addon that is not loaded, or never asks the resolver, is left alone', () => {
    assert.equal(loadAddon().admitLiterals('none.node'), false);
    assert.equal(loadAddon().admitLiterals('cryonet.node'), true, 'our own asks it');
    assert.equal(loadAddon().admitLiterals('service.node'), false);
  });
}
