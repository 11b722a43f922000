/** What the shell of a dataplane is made from, and what it needs of a control. */
import type { Notification, NotificationParams } from '../protocol/dataplane.ts';
import type { Log, LogLevel } from '../protocol/log.ts';
import type { EngineFactory } from './engine-shell.ts';
import type { IceServerCheck } from './io/ice-server-check.ts';
import type { TunFactory } from './io/tun.ts';

export interface ControlSide {
  notify<N extends Notification>(name: N, params: NotificationParams<N>): void;
  /** Bytes that it has not read. */
  readonly backlog?: number;
}

export interface DataplaneShellOptions {
  readonly log: Log;
  readonly tuns: TunFactory;
  readonly openEngine: EngineFactory;
  readonly child: boolean;
  /** Whether a STUN or TURN server works; by default it is asked. */
  readonly checkIceServer?: IceServerCheck;
  /** Called with the least level to log from now on; null: that of the start. */
  readonly logAt?: (level: LogLevel | null) => void;
  /** Told after each change of the warnings. */
  readonly changed?: () => void;
}
