/** nebula: the first host is the lighthouse. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { shell } from '../../netns-tests/lab/shell.ts';
import { type Contender, innerAddress } from '../contender.ts';
import { DaemonOverlay } from './daemon.ts';

const port = 4242;

class Nebula extends DaemonOverlay {
  readonly listening = { protocol: 'udp', port } as const;

  async certify(): Promise<void> {
    const ca = this.home(0);
    const [caCertificate, caKey] = [join(ca, 'ca.crt'), join(ca, 'ca.key')];
    await shell`nebula-cert ca -name bench -out-crt ${caCertificate} -out-key ${caKey}`;
    for (const [host, { label }] of this.hosts.entries()) {
      const home = this.home(host);
      const [certificate, key] = [join(home, 'host.crt'), join(home, 'host.key')];
      await shell`nebula-cert sign -ca-crt ${caCertificate} -ca-key ${caKey} -name ${label} -ip ${innerAddress(host)}/24 -out-crt ${certificate} -out-key ${key}`;
      const configuration = this.#configuration(host, { ca: caCertificate, certificate, key });
      // JSON is YAML.
      writeFileSync(join(home, 'config.yml'), JSON.stringify(configuration, undefined, 2));
    }
  }

  protected command(host: number): string[] {
    return ['nebula', '-config', join(this.home(host), 'config.yml')];
  }

  #configuration(host: number, files: { ca: string; certificate: string; key: string }) {
    const anything = [{ port: 'any', proto: 'any', host: 'any' }];
    return {
      pki: { ca: files.ca, cert: files.certificate, key: files.key },
      static_host_map: host === 0 ? {} : { [innerAddress(0)]: [`${this.hosts[0]!.address}:${port}`] },
      lighthouse: { am_lighthouse: host === 0, hosts: host === 0 ? [] : [innerAddress(0)] },
      listen: { host: '0.0.0.0', port },
      punchy: { punch: true },
      tun: { dev: 'nebula1' },
      firewall: { outbound: anything, inbound: anything },
    };
  }
}

export const nebula: Contender = {
  name: 'nebula',
  package: 'nebula',
  async prepare(hosts: readonly Namespace[]) {
    const overlay = new Nebula(hosts);
    await overlay.certify();
    return overlay;
  },
};
