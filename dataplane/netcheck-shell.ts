/** The part of the dataplane's shell that finds out about the machine's networks, where somebody asks for it. */
import type { Params, Result } from '../protocol/dataplane.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { EngineShell } from './engine-shell.ts';
import { parseCandidate } from './io/engine/sdp.ts';
import type { Host } from './io/host.ts';
import { checkNetwork } from './io/netcheck.ts';

export interface NetcheckShellOptions {
  readonly host: Pick<Host, 'route'>;
  readonly engine: EngineShell;
  /** SO_MARK of the node's sockets. */
  readonly mark: () => number;
}

export class NetcheckShell {
  readonly #options: NetcheckShellOptions;
  #runs = false;

  constructor(options: NetcheckShellOptions) {
    this.#options = options;
  }

  /** Rejects with `unavailable` while another one runs: it would see itself in what that one opens. */
  async check({ servers }: Params<'netcheck'>): Promise<Result<'netcheck'>> {
    const { host, engine, mark } = this.#options;
    if (this.#runs) throw new CryonetError('unavailable', 'another netcheck runs: try again in ten seconds');
    this.#runs = true;
    try {
      const stun = servers.map((server) => ({ kind: 'stun' as const, ...server }));
      const [found, reflexive] = await Promise.all([
        checkNetwork(servers, { host, mark: mark(), opened: () => engine.mark() }),
        engine.engine?.reflexive(stun) ?? [],
      ]);
      const { udpPort = 0 } = engine.engine ?? {};
      const hosts = engine.hostAddresses().map((address) => `host ${withPort(address, udpPort)}`);
      const seen = reflexive.flatMap((candidate) => {
        const parsed = parseCandidate(candidate);
        return parsed === undefined ? [] : [`${parsed.type} ${withPort(parsed.address, parsed.port)}`];
      });
      return { ...found, candidates: [...new Set([...hosts, ...seen])], udpPort };
    } finally {
      this.#runs = false;
    }
  }
}

function withPort(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}
