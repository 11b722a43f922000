import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tunRefusal } from '../dataplane/io/tun-refusal.ts';
import { CryonetError, errorCodes } from '../protocol/errors.ts';

/** As the addon throws it. */
function refused(step: string, code: string): Error {
  return Object.assign(new Error(step), { code });
}

const node = '/nonexistent/tun';
const missing = `${errorCodes.tun_missing}, and then restart the dataplane`;

/** Step, errno, code, and the words before the step. */
const table = [
  ['open', 'ENOENT', 'tun_missing', missing],
  ['open', 'ENOTDIR', 'tun_missing', missing],
  ['open', 'ENODEV', 'tun_no_driver', errorCodes.tun_no_driver],
  ['open', 'ENXIO', 'tun_no_driver', errorCodes.tun_no_driver],
  ['open', 'EACCES', 'tun_file_denied', errorCodes.tun_file_denied],
  ['open', 'EPERM', 'tun_cgroup_denied', errorCodes.tun_cgroup_denied],
  [
    'open',
    'EMFILE',
    'tun_failed',
    'this process has too many files open: raise its limit (LimitNOFILE=, ulimit -n)',
  ],
  ['open', 'ENFILE', 'tun_failed', 'the machine has too many files open: raise fs.file-max'],
  ['open', 'EIO', 'tun_failed', errorCodes.tun_failed],
  ['TUNSETIFF', 'EPERM', 'tun_denied', errorCodes.tun_denied],
  ['TUNSETIFF', 'EBUSY', 'tun_exists', errorCodes.tun_exists],
  ['TUNSETIFF', 'EEXIST', 'tun_exists', errorCodes.tun_exists],
  ['TUNSETIFF', 'ENOTTY', 'tun_missing', missing],
  ['TUNSETIFF', 'EINVAL', 'tun_failed', errorCodes.tun_failed],
  ['TUNSETIFF', 'ENOMEM', 'tun_failed', 'the machine has no memory left for it'],
  [
    'starting the reader thread',
    'EMFILE',
    'tun_failed',
    'this process has too many files open: raise its limit (LimitNOFILE=, ulimit -n)',
  ],
  ['setting the MTU', 'EPERM', 'tun_denied', errorCodes.tun_denied],
  ['setting the MTU', 'EINVAL', 'tun_failed', errorCodes.tun_failed],
  ['setting the MTU', 'EBUSY', 'tun_failed', errorCodes.tun_failed],
] as const;

for (const [step, errno, code, words] of table) {
  test(`${errno} at ${step} is ${code}, and says what to do`, () => {
    const cause = refused(step, errno);
    const error = tunRefusal(node, 'cnosaka', cause);
    assert.ok(error instanceof CryonetError);
    const what = step === 'open' ? `open ${node}` : step;
    assert.deepEqual(
      [error.code, error.message, error.cause],
      [code, `${words} (cnosaka: ${what}: ${errno})`, cause],
    );
  });
}

test('every refusal has words of its own', () => {
  const words = Object.entries(errorCodes).filter(([code]) => code.startsWith('tun_'));
  assert.equal(new Set(words.map(([, text]) => text)).size, words.length);
});

test('the machine’s own node may appear while the program runs', () => {
  const error = tunRefusal('/dev/net/tun', '', refused('open', 'ENOENT')) as Error;
  assert.equal(error.message, `${errorCodes.tun_missing} (open /dev/net/tun: ENOENT)`);
});

test('what is no refusal of the kernel comes back as it is', () => {
  const defect = new TypeError('not an open device');
  assert.equal(tunRefusal(node, '', defect), defect);
});
