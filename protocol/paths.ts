/** Where sockets and state are unless an option says otherwise: systemd's directories in a service, /run and /var/lib for
 *  root, the XDG base directories for everyone else. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

export function defaultRuntimeDirectory(env: Environment, uid: number): string {
  const systemd = env.RUNTIME_DIRECTORY?.split(':')[0];
  if (systemd) return systemd;
  if (uid === 0) return '/run/cryonet';
  return env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'cryonet') : `/tmp/cryonet-${uid}`;
}

export function defaultStateDirectory(env: Environment, uid: number): string {
  const systemd = env.STATE_DIRECTORY?.split(':')[0];
  if (systemd) return systemd;
  if (uid === 0) return '/var/lib/cryonet';
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'cryonet');
}

/** The token file of a service. Only root may read it; the service manager hands its content over as a credential. */
export function serviceTokenFile(env: Environment): string {
  return join(serviceFolder(env), 'token');
}

export function serviceConfigFile(env: Environment): string {
  return join(serviceFolder(env), 'config.toml');
}

function serviceFolder(env: Environment): string {
  return env.CONFIGURATION_DIRECTORY?.split(':')[0] || '/etc/cryonet';
}

export function controlSocket(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'control.sock');
}

export function dataplaneSocket(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'dataplane.sock');
}
