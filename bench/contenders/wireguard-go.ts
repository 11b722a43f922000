/** wireguard-go: every host is configured with every other's key and address, as there is no discovery. */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { shell } from '../../netns-tests/lab/shell.ts';
import { type Contender, innerAddress } from '../contender.ts';
import { DaemonOverlay } from './daemon.ts';

const port = 51820;
const startMilliseconds = 10_000;
let interfaces = 0;

class WireguardGo extends DaemonOverlay {
  readonly listening = { protocol: 'udp', port } as const;
  // Its control sockets are in one folder for the whole machine, by the name of the interface.
  readonly #names: readonly string[];

  constructor(hosts: readonly Namespace[]) {
    super(hosts);
    this.#names = hosts.map(() => `bw${process.pid.toString(36)}x${(interfaces++).toString(36)}`);
    const { lab } = hosts[0]!;
    lab.defer(() => {
      for (const name of this.#names) rmSync(control(name), { force: true });
    });
  }

  introduce(): void {
    const pairs = this.hosts.map(() => keyPair());
    for (const [host] of this.hosts.entries()) {
      const peers = this.hosts
        .map((namespace, other) => ({ namespace, other }))
        .filter(({ other }) => other !== host)
        .map(({ namespace, other }) =>
          [
            '[Peer]',
            `PublicKey = ${pairs[other]!.publicKey}`,
            `AllowedIPs = ${innerAddress(other)}/32`,
            `Endpoint = ${namespace.address}:${port}`,
            'PersistentKeepalive = 25',
          ].join('\n'),
        );
      const own = `[Interface]\nPrivateKey = ${pairs[host]!.privateKey}\nListenPort = ${port}`;
      writeFileSync(join(this.home(host), 'wg.conf'), `${[own, ...peers].join('\n')}\n`, { mode: 0o600 });
    }
  }

  protected command(host: number): string[] {
    return ['wireguard-go', '-f', this.#names[host]!];
  }

  protected override async configure(host: number): Promise<void> {
    const name = this.#names[host]!;
    const end = performance.now() + startMilliseconds;
    // A stale socket of an earlier start refuses: try until it takes the configuration.
    for (;;) {
      if (existsSync(control(name))) {
        const file = join(this.home(host), 'wg.conf');
        const { exitCode } = await shell({ nothrow: true })`wg setconf ${name} ${file}`;
        if (exitCode === 0) break;
      }
      if (performance.now() > end) throw new Error('wireguard-go did not start');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await this.hosts[host]!.configure(`addr add ${innerAddress(host)}/24 dev ${name}`, `link set ${name} up`);
  }
}

function control(name: string): string {
  return `/var/run/wireguard/${name}.sock`;
}

/** X25519, base64 of the 32 raw bytes, as wg(8) takes them. */
function keyPair(): { publicKey: string; privateKey: string } {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const raw = (value: string | undefined): string => Buffer.from(value ?? '', 'base64url').toString('base64');
  return {
    publicKey: raw(publicKey.export({ format: 'jwk' }).x),
    privateKey: raw(privateKey.export({ format: 'jwk' }).d),
  };
}

export const wireguardGo: Contender = {
  name: 'wireguard-go',
  package: 'wireguard-go',
  async prepare(hosts: readonly Namespace[]) {
    const overlay = new WireguardGo(hosts);
    overlay.introduce();
    return overlay;
  },
};
