/** The policy in the form of `protocol/policy.ts`. */
import type { PolicyReport, PolicyVerdict } from '../protocol/policy.ts';
import type { ControlConfig } from './config/config.ts';
import { type Digest, fingerprintOfPin } from './core/fingerprint.ts';
import { type PeerSettings, sectionsFor } from './core/peer-settings.ts';
import { decisionOn } from './core/policy.ts';
import type { Mesh } from './core/state.ts';
import { idsOf, stateAndReason } from './status.ts';

export function policyReportOf({ allow, deny, peerSections }: ControlConfig, digest: Digest): PolicyReport {
  const sections = peerSections.map(({ pattern, settings }) => ({
    peer: pattern,
    settings: shown(settings, digest),
  }));
  return { allow: [...allow], deny: [...deny], sections };
}

export function policyVerdictOn(mesh: Mesh, peer: string, digest: Digest): PolicyVerdict {
  const { policy } = mesh.config;
  const settings: Record<string, unknown> = {};
  const sections: Record<string, string> = {};
  for (const section of policy.peers === undefined ? [] : sectionsFor(policy.peers, peer)) {
    for (const [name, value] of Object.entries(section.settings)) {
      if (name in settings) continue;
      settings[name] = value;
      sections[name] = section.pattern;
    }
  }
  const known = idsOf(mesh).includes(peer);
  const { state, reason } = known ? stateAndReason(mesh, peer) : { state: null, reason: '' };
  return {
    ...{ peer, ...decisionOn(policy, peer) },
    ...{ settings: shown(settings, digest), sections, state, reason },
  };
}

/** Keys as people compare them. */
function shown(settings: PeerSettings, digest: Digest): PolicyVerdict['settings'] {
  const { fingerprint, addresses, ...rest } = settings;
  return {
    ...rest,
    ...(addresses && { addresses: [...addresses] }),
    ...(fingerprint && { fingerprint: fingerprintOfPin(fingerprint, digest) }),
  };
}
