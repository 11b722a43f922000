/** A node whose only way to the bootstrap server is an HTTP proxy. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authority } from '../test/certificates-lab.ts';
import { linkTo, losses, meshed, outcome, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';

/*
 *   boot ── takes TCP from the proxy alone, TLS by a CA of its own
 *     │
 *   proxy ── tinyproxy, for who has the password
 *     │
 *   inner ── HTTPS_PROXY, --tls-ca
 */
story(
  'a node joins through an HTTP proxy with a password, over TLS by its own CA, and has a direct link',
  ['nft', 'ping', 'tinyproxy', 'openssl'],
  async (lab) => {
    const { hosts } = await lan(lab, ['boot', 'proxy', 'inner'], 'ipv4');
    const [boot, proxy, inner] = hosts as [(typeof hosts)[0], (typeof hosts)[0], (typeof hosts)[0]];
    await boot.rules(`table inet filter { chain input { type filter hook input priority filter;
      ip saddr ${inner.address} tcp dport 2333 drop; }; }`);
    const file = (name: string, text: string) => {
      const path = join(lab.directory, name);
      writeFileSync(path, text);
      return path;
    };
    const authority = new Authority(lab.directory);
    const { cert, key } = authority.sign(boot.address);
    const settings = [`Listen ${proxy.address}`, 'Port 8888', 'LogLevel Info', 'ConnectPort 2333'];
    const config = file('tinyproxy.conf', [...settings, 'BasicAuth lab pass', ''].join('\n'));
    const tinyproxy = proxy.start('tinyproxy', ['tinyproxy', '-d', '-c', config]);
    await tinyproxy.says(/Accepting connections/);
    const tls = ['--tls-cert', file('boot.pem', cert), '--tls-key', file('boot.key', key)];
    const first = new CryonetNode(boot, { listen: true, options: tls }).start();
    const second = new CryonetNode(inner, {
      through: ['env', `HTTPS_PROXY=http://lab:pass@${proxy.address}:8888`],
      options: ['--ws-servers', `wss://${first.listen}`, '--tls-ca', authority.file],
    }).start();
    const reports = await meshed([first, second]);
    assert.equal(outcome(linkTo(reports[1]!, 'boot')), 'direct');
    assert.deepEqual(
      reports[1]!.bootstrap.map(({ state }) => state),
      ['connected'],
    );
    await tinyproxy.says(new RegExp(`CONNECT ${boot.address}:2333`));
    assert.deepEqual(losses(await pingMesh([first, second], { count: 3 })), []);
  },
);
