/** A node that a service manager started by hand, with a dataplane of its own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { optionTable } from '../control/config/options.ts';
import { dataplaneFlags, variablesOf } from '../protocol/command-line.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';

/** Of options that have no default, and of which some may hold a secret. */
const values: Readonly<Record<string, string>> = {
  token: 'correct-horse',
  'token-file': '/nowhere',
  'ws-servers': 'ws://user:correct-horse@192.0.2.1:2333',
  'ice-servers': 'turn:192.0.2.1|u|correct-horse',
};

story('a dataplane that control starts has of its environment what it needs and no more', [], async (lab) => {
  const host = await lab.namespace('a');
  const options = optionTable.flatMap(({ flag, fallback }) =>
    variablesOf([flag]).map((name) => [name, values[flag] ?? fallback ?? '']),
  );
  const manager = {
    ...{ NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' },
    ...{ LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'x', CREDENTIALS_DIRECTORY: '/nowhere' },
    ...{ HTTPS_PROXY: 'http://user:correct-horse@192.0.2.1', UNKNOWN: 'correct-horse' },
  };
  const settings = [...options, ...Object.entries(manager)].map(([name, value]) => `${name}=${value}`);
  const node = new CryonetNode(host, { through: ['env', ...settings] }).start();
  const { dataplane } = await node.ready();
  const environment = readFileSync(`/proc/${dataplane.pid}/environ`, 'utf8').split('\0').filter(Boolean);
  const names = environment.map((line) => line.split('=', 1)[0]!);
  const own = variablesOf(dataplaneFlags);
  const strange = [...options.map(([name]) => name!), ...Object.keys(manager)].filter(
    (name) => !own.includes(name),
  );
  assert.ok(strange.length > 50);
  assert.deepEqual(
    names.filter((name) => strange.includes(name)),
    [],
  );
  assert.doesNotMatch(environment.join(), /correct-horse/);
  assert.ok(names.includes('CRYONET_LOG_LEVEL') && names.includes('NODE_COMPILE_CACHE'));
});
