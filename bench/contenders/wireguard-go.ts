/** wireguard-go: every host is configured with every other's key and address, as there is no discovery. */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { shell } from '../../netns-tests/lab/shell.ts';
import { daemons, type Host } from './daemon.ts';

const port = 51820;
const startMilliseconds = 10_000;
let interfaces = 0;

export const wireguardGo = daemons(
  { name: 'wireguard-go', discovers: false, protocol: 'udp', port },
  async (hosts) => {
    const pairs = hosts.map(() => keyPair());
    const peers = hosts.map(({ namespace, inner }, host) =>
      [
        '[Peer]',
        `PublicKey = ${pairs[host]!.publicKey}`,
        `AllowedIPs = ${inner}/32`,
        `Endpoint = ${namespace.address}:${port}`,
        'PersistentKeepalive = 25',
      ].join('\n'),
    );
    return hosts.map((host, index) => {
      const own = `[Interface]\nPrivateKey = ${pairs[index]!.privateKey}\nListenPort = ${port}`;
      const others = peers.filter((_, other) => other !== index);
      const file = join(host.home, 'wg.conf');
      writeFileSync(file, `${[own, ...others].join('\n')}\n`, { mode: 0o600 });
      // Its control sockets are in one folder for the whole machine, by the name of the interface.
      const name = `bw${process.pid.toString(36)}x${(interfaces++).toString(36)}`;
      const control = `/var/run/wireguard/${name}.sock`;
      host.namespace.lab.defer(() => rmSync(control, { force: true }));
      const configure = () => configured(host, name, control, file);
      return { command: ['wireguard-go', '-f', name], configure };
    });
  },
);

async function configured(host: Host, name: string, control: string, file: string): Promise<void> {
  const end = performance.now() + startMilliseconds;
  // A stale socket of an earlier start refuses: try until it takes the configuration.
  for (;;) {
    if (existsSync(control)) {
      const { exitCode } = await shell({ nothrow: true })`wg setconf ${name} ${file}`;
      if (exitCode === 0) break;
    }
    if (performance.now() > end) throw new Error('wireguard-go did not start');
    await pause(2);
  }
  await host.namespace.configure(`addr add ${host.inner}/24 dev ${name}`, `link set ${name} up`);
}

/** X25519, base64 of the 32 raw bytes, as wg(8) takes them. */
function keyPair(): { publicKey: string; privateKey: string } {
  const { x, d } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const raw = (value: string | undefined): string => Buffer.from(value ?? '', 'base64url').toString('base64');
  return { publicKey: raw(x), privateKey: raw(d) };
}
