/** What core is told of the configuration. */
import type { ControlConfig } from './config/config.ts';
import type { MeshConfig } from './core/config.ts';
import { newPeerSections } from './core/peer-settings.ts';

/** `identities`: the file of accepted keys. */
export function meshConfigOf(config: ControlConfig, identities: string): MeshConfig {
  const { allow, deny, checkInterval, checkTimeout, sendAliveInterval, service } = config;
  const { peers, peerSections, operators } = config;
  const fingerprints = peerSections.flatMap(({ pattern, settings: { fingerprint } }) =>
    fingerprint === undefined ? [] : [[pattern, fingerprint] as const],
  );
  return {
    policy: { allow, deny, peers: newPeerSections(peerSections) },
    checkInterval,
    forgetAfter: checkTimeout,
    aliveInterval: sendAliveInterval,
    webSocketPaths: mayGoByWebSocket(config),
    named: new Map([...peers, ...fingerprints]),
    operators,
    identities: {
      file: identities,
      reload: service ? 'systemctl reload cryonet' : `kill -HUP ${process.pid}`,
    },
    relayLifetime: relayLifetime(config),
  };
}

/** A WebSocket may leave by an interface that links are to keep off. */
function mayGoByWebSocket({ webSocketPathLimit, interfaces, excludeInterfaces }: ControlConfig): boolean {
  return webSocketPathLimit > 0 && interfaces.length === 0 && excludeInterfaces.length === 0;
}

/** The shortest lifetime, in milliseconds, of credentials that are made of TURN servers' secrets; undefined if there are
 *  none. */
function relayLifetime({ iceServers }: ControlConfig): number | undefined {
  const seconds = iceServers.flatMap((server) => (server.kind === 'turn' ? (server.lifetime ?? []) : []));
  return seconds.length === 0 ? undefined : Math.min(...seconds) * 1000;
}
