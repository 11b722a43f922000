/** tinc 1.0: every host connects to the first. */
import { generateKeyPair } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { daemons } from './daemon.ts';

const port = 655;

interface Keys {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** Keys of any host will do for any other of a later take, and each takes a while to make. */
const keyring: Promise<Keys>[] = [];

function keys(host: number): Promise<Keys> {
  keyring[host] ??= promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  return keyring[host];
}

export const tinc = daemons({ name: 'tinc', discovers: true, protocol: 'tcp', port }, async (hosts) => {
  const pairs = await Promise.all(hosts.map((_, host) => keys(host)));
  for (const [host, { home, inner }] of hosts.entries()) {
    const file = (name: string, lines: readonly string[], mode = 0o600) =>
      writeFileSync(join(home, name), `${lines.join('\n')}\n`, { mode });
    mkdirSync(join(home, 'hosts'));
    const upstream = host === 0 ? [] : ['ConnectTo = host0'];
    file('tinc.conf', [`Name = host${host}`, 'Interface = tinc0', 'AddressFamily = ipv4', ...upstream]);
    file('rsa_key.priv', [pairs[host]!.privateKey]);
    const setUp = `addr add ${inner}/24 dev tinc0\\nlink set tinc0 up\\n`;
    file('tinc-up', ['#!/bin/sh', `printf '${setUp}' | ip -batch -`], 0o700);
    for (const [other, { namespace, inner: subnet }] of hosts.entries())
      file(`hosts/host${other}`, [
        ...[`Address = ${namespace.address}`, `Port = ${port}`, `Subnet = ${subnet}/32`],
        pairs[other]!.publicKey,
      ]);
  }
  return hosts.map(({ home }) => ({
    command: ['tincd', '-D', '-c', home, `--pidfile=${join(home, 'pid')}`],
  }));
});
