/** The sockets that a service manager opened for this process: sd_listen_fds_with_names(3). */

type Environment = Record<string, string | undefined>;

/** SD_LISTEN_FDS_START. */
const first = 3;

/** Descriptors by name, the first of each name; none if they are meant for another process. Removes the variables from
 *  `env`, so that no child believes that the sockets are its own. */
export function takeListenFds(env: Environment = process.env, pid = process.pid): Map<string, number> {
  const { LISTEN_PID: meant, LISTEN_FDS: count, LISTEN_FDNAMES: names = '' } = env;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  const descriptors = new Map<string, number>();
  if (Number(meant) !== pid || !/^\d{1,4}$/.test(count ?? '')) return descriptors;
  const given = names.split(':');
  for (let i = 0; i < Number(count); i++) {
    const name = given[i] || 'unknown';
    if (!descriptors.has(name)) descriptors.set(name, first + i);
  }
  return descriptors;
}
