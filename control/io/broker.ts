/**
 * The broker beside control: a small process that keeps the capabilities which a node needs, so that control needs none.
 * Control tells it a plan at its start, before it hears of any other node; later the broker does what is in the plan and
 * nothing else. Its requests: `service/native/broker.h`.
 */
import { loadServiceAddon } from '../../service/native.ts';

/** PID:DESCRIPTOR, set by `service/launch/launch.c`: the process that the broker is for, and the channel to it. */
const variable = 'CRYONET_BROKER';

export interface Plan {
  /** The dataplane's program and its arguments. */
  readonly command: readonly string[];
  /** All of its environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** SO_MARK of the sockets. */
  readonly mark: number;
  /** TCP port to listen on. */
  readonly port: number;
}

export interface Started {
  readonly pid: number;
  /** Descriptor of a pipe on which it says how its start went. */
  readonly words: number;
}

/** Its functions throw an Error whose `code` is an errno: EPERM for what is not in the plan, EPIPE or ECONNRESET where the
 *  broker has ended, else what the kernel refused. */
export class Broker {
  readonly #channel: number;

  constructor(channel: number) {
    this.#channel = channel;
  }

  /** Comes once, and first. */
  plan({ command, environment, mark, port }: Plan): void {
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    this.#ask('plan', `${mark}`, `${port}`, `${command.length}`, ...command, ...variables);
  }

  startDataplane(): Started {
    const { pid, descriptor } = this.#ask('start');
    return { pid, words: descriptor };
  }

  /** Descriptor of a TCP socket with the plan's mark, not connected yet. `family`: 4 or 6. */
  markedSocket(family: number): number {
    return this.#ask('socket', `${family}`).descriptor;
  }

  /** Descriptor of a TCP socket bound to the plan's port at `address`, a number, and not listening yet. */
  boundSocket(address: string): number {
    return this.#ask('listen', address).descriptor;
  }

  #ask(...words: readonly string[]) {
    return loadServiceAddon().askBroker(
      this.#channel,
      Buffer.from(words.map((word) => `${word}\0`).join('')),
    );
  }
}

/** Takes the variable out of `env`. Undefined where it is not there or was meant for another process. */
export function takeBroker(env: NodeJS.ProcessEnv = process.env, pid = process.pid): Broker | undefined {
  const [, meant, channel] = /^(\d+):(\d+)$/.exec(env[variable] ?? '') ?? [];
  delete env[variable];
  return Number(meant) === pid ? new Broker(Number(channel)) : undefined;
}

/** The broker of this process. A service has none: its dataplane is another service. */
export const broker = takeBroker();
