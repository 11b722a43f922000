/** What a process is told that may make no TUN device, by a real kernel; and that the node's mode is not what matters. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { errorCodes } from '../protocol/errors.ts';
import { inNamespace } from '../test/native/namespace.ts';
import { runOpenTun } from '../test/native/tun-process.ts';

/** Root that a file's mode holds for. */
const withoutOverride = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all'];

if (inNamespace(import.meta.filename, 'TUN devices that are refused')) define();

function define(): void {
  /** Commands before the program, and the one line that trying and opening end with. */
  const refusals: readonly (readonly [string, readonly string[], string])[] = [
    [
      'without CAP_NET_ADMIN',
      ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
      `tun_denied ${errorCodes.tun_denied} (TUNSETIFF: EPERM)`,
    ],
    [
      'with CAP_NET_ADMIN of a user namespace that does not own the network namespace',
      ['unshare', '--user', '--map-root-user'],
      `tun_denied ${errorCodes.tun_denied} (TUNSETIFF: EPERM)`,
    ],
    ['without /dev/net/tun', inDev(':'), `tun_missing ${errorCodes.tun_missing} (open /dev/net/tun: ENOENT)`],
    [
      'without a driver behind /dev/net/tun',
      inDev('mknod -m 0600 tun c 10 249'),
      `tun_no_driver ${errorCodes.tun_no_driver} (open /dev/net/tun: ENODEV)`,
    ],
    [
      'with another device in its place',
      inDev('mknod -m 0600 tun c 1 3'),
      `tun_missing ${errorCodes.tun_missing} (TUNSETIFF: ENOTTY)`,
    ],
    [
      'with /dev/net/tun for another user alone',
      [...inDev('mknod -m 0640 tun c 10 200 && chown 12345:0 tun'), ...withoutOverride],
      `tun_file_denied ${errorCodes.tun_file_denied} (mode 0640, uid 12345, gid 0) (open /dev/net/tun: EACCES)`,
    ],
    [
      'with /dev/net/tun where no device may be opened',
      inDev('mknod -m 0666 tun c 10 200 && mount -o remount,nodev /dev/net'),
      'tun_file_denied a security module or a mount with nodev keeps the TUN device from being opened, not its mode' +
        ' (open /dev/net/tun: EACCES)',
    ],
  ];
  const [program = '', ...arguments_] = inDev('mknod -m 0600 tun c 10 200');
  const unable = spawnSync(program, [...arguments_, 'true']).status !== 0;
  const skip = unable ? 'no device node can be made here (not root)' : false;
  for (const [title, words, line] of refusals) {
    test(`${title} opening says why, in one line, and so does asking`, { skip }, async () => {
      for (const mode of ['try', 'close']) {
        const { output } = await runOpenTun(mode, ...words);
        assert.equal(output, `${line}\n`, mode);
      }
    });
  }

  for (const mode of ['0600', '0660', '0666']) {
    test(`a node of one's own opens where /dev/net/tun has mode ${mode}`, { skip }, async () => {
      const nodes = `mknod -m ${mode} tun c 10 200 && chown 12345:12345 tun && mknod -m 0600 own c 10 200`;
      const own = [...inDev(nodes), ...withoutOverride, 'env', 'TUN_DEVICE=/dev/net/own'];
      for (const [mode, line] of [
        ['try', /^open\n$/],
        ['close', /^open tun0\n$/],
      ] as const)
        assert.match((await runOpenTun(mode, ...own)).output, line);
    });
  }
}

/** Runs what follows in a mount namespace where /dev/net holds what `make` put there. */
function inDev(make: string): string[] {
  const script = `mount -t tmpfs none /dev/net && (cd /dev/net && ${make}) && exec "$@"`;
  return ['unshare', '--mount', 'sh', '-c', script, '--'];
}
