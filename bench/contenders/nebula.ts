/** nebula: the first host is the lighthouse. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shell } from '../../netns-tests/lab/shell.ts';
import { daemons, type Host } from './daemon.ts';

const port = 4242;

export const nebula = daemons({ name: 'nebula', discovers: true, protocol: 'udp', port }, async (hosts) => {
  const [first] = hosts;
  const [ca, caKey] = [join(first!.home, 'ca.crt'), join(first!.home, 'ca.key')];
  await shell`nebula-cert ca -name bench -out-crt ${ca} -out-key ${caKey}`;
  const commands = hosts.map(async ({ namespace, inner, home }) => {
    const [cert, key] = [join(home, 'host.crt'), join(home, 'host.key')];
    await shell`nebula-cert sign -ca-crt ${ca} -ca-key ${caKey} -name ${namespace.label} -ip ${inner}/24 -out-crt ${cert} -out-key ${key}`;
    const file = join(home, 'config.yml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(configuration({ ca, cert, key }, home === first!.home, first!)));
    return { command: ['nebula', '-config', file] };
  });
  return Promise.all(commands);
});

function configuration(pki: object, isLighthouse: boolean, { namespace, inner }: Host): object {
  const anything = [{ port: 'any', proto: 'any', host: 'any' }];
  return {
    pki,
    static_host_map: isLighthouse ? {} : { [inner]: [`${namespace.address}:${port}`] },
    lighthouse: { am_lighthouse: isLighthouse, hosts: isLighthouse ? [] : [inner] },
    listen: { host: '0.0.0.0', port },
    punchy: { punch: true },
    tun: { dev: 'nebula1' },
    firewall: { outbound: anything, inbound: anything },
  };
}
