/** The commands of `cryoc`, one row each. Parsing, help and completions are made from this table. */
import type { AnyCommand } from './command.ts';
import { accept } from './commands/accept.ts';
import { bugreport } from './commands/bugreport.ts';
import { doctor } from './commands/doctor.ts';
import { explain } from './commands/explain.ts';
import { forget } from './commands/forget.ts';
import { hooks } from './commands/hooks.ts';
import { invite } from './commands/invite.ts';
import { ip } from './commands/ip.ts';
import { join } from './commands/join.ts';
import { logLevel } from './commands/log-level.ts';
import { metrics } from './commands/metrics.ts';
import { netcheck } from './commands/netcheck.ts';
import { operator } from './commands/operator.ts';
import { ping } from './commands/ping.ts';
import { policy } from './commands/policy.ts';
import { reload } from './commands/reload.ts';
import { revoke } from './commands/revoke.ts';
import { routingConfig } from './commands/routing-config.ts';
import { statements } from './commands/statements.ts';
import { status } from './commands/status.ts';
import { token } from './commands/token.ts';
import { top } from './commands/top.ts';
import { wait } from './commands/wait.ts';
import { watch } from './commands/watch.ts';

export const commands: readonly AnyCommand[] = [
  status,
  wait,
  ip,
  ping,
  explain,
  doctor,
  bugreport,
  netcheck,
  top,
  watch,
  metrics,
  routingConfig,
  hooks,
  reload,
  policy,
  logLevel,
  token,
  invite,
  join,
  operator,
  accept,
  revoke,
  forget,
  statements,
];
