/** A node that a service manager started by hand, with a dataplane of its own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';

story('a dataplane that control starts has neither its secrets nor its service manager', [], async (lab) => {
  const host = await lab.namespace('a');
  const variables = {
    ...{ NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' },
    ...{ LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'x', CREDENTIALS_DIRECTORY: '/nowhere' },
    ...{ TOKEN: 'correct-horse', TOKEN_FILE: '/nowhere', ICE_SERVERS: 'turn:192.0.2.1|u|c' },
  };
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const node = new CryonetNode(host, { through: ['env', ...settings, 'HERE=1'] }).start();
  const { dataplane } = await node.ready();
  const environment = readFileSync(`/proc/${dataplane.pid}/environ`, 'utf8').split('\0');
  assert.ok(environment.includes('HERE=1'));
  const names = environment.map((line) => line.split('=', 1)[0]!);
  assert.deepEqual(
    names.filter((name) => name in variables),
    [],
  );
});
