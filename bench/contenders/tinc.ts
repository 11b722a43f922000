/** tinc 1.0: every host connects to the first. */
import { generateKeyPair } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { type Contender, innerAddress } from '../contender.ts';
import { DaemonOverlay } from './daemon.ts';

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

class Tinc extends DaemonOverlay {
  readonly listening = { protocol: 'tcp', port } as const;

  async introduce(): Promise<void> {
    const pairs = await Promise.all(this.hosts.map((_, host) => keys(host)));
    for (const [host] of this.hosts.entries()) {
      const home = this.home(host);
      const file = (name: string, lines: readonly string[], mode = 0o600) => {
        writeFileSync(join(home, name), `${lines.join('\n')}\n`, { mode });
        chmodSync(join(home, name), mode);
      };
      mkdirSync(join(home, 'hosts'), { recursive: true });
      file('tinc.conf', [
        `Name = ${name(host)}`,
        'Interface = tinc0',
        'AddressFamily = ipv4',
        ...(host === 0 ? [] : [`ConnectTo = ${name(0)}`]),
      ]);
      file('rsa_key.priv', [pairs[host]!.privateKey]);
      const setUp = `addr add ${innerAddress(host)}/24 dev tinc0\\nlink set tinc0 up\\n`;
      file('tinc-up', ['#!/bin/sh', `printf '${setUp}' | ip -batch -`], 0o700);
      for (const [other, { address }] of this.hosts.entries()) {
        file(`hosts/${name(other)}`, [
          `Address = ${address}`,
          `Port = ${port}`,
          `Subnet = ${innerAddress(other)}/32`,
          pairs[other]!.publicKey,
        ]);
      }
    }
  }

  protected command(host: number): string[] {
    const home = this.home(host);
    return ['tincd', '-D', '-c', home, `--pidfile=${join(home, 'pid')}`];
  }
}

function name(host: number): string {
  return `host${host}`;
}

export const tinc: Contender = {
  name: 'tinc',
  package: 'tinc',
  async prepare(hosts: readonly Namespace[]) {
    const overlay = new Tinc(hosts);
    await overlay.introduce();
    return overlay;
  },
};
