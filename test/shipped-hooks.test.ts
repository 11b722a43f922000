/** The hooks of the packages, with a babeld, a BIRD and a cryoc that do as these do. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from './socket-pair.ts';

const hooks = join(import.meta.dirname, '../packaging/files/hooks');

/** Runs a hook whose files and programs are in this folder. */
async function run(folder: string, name: string, event: Readonly<Record<string, string>>) {
  const script = readFileSync(join(hooks, name), 'utf8')
    .replaceAll('/run/cryonet-hooks', folder)
    .replaceAll('/run/babeld.sock', join(folder, 'babeld.sock'))
    .replaceAll('/usr/lib/cryonet/bin/node', process.execPath);
  const path = join(folder, name);
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  const env = { PATH: `${folder}:/usr/bin:/bin`, ...event };
  const child = spawn(path, [], { env, timeout: 60_000 });
  const [[code], said] = await Promise.all([once(child, 'close'), text(child.stderr)]);
  assert.deepEqual([code, said], [0, '']);
}

function program(folder: string, name: string, body: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(folder, name), 0o755);
}

/** What babeld 1.12 says, and what it was told. */
async function babeld(context: TestContext, folder: string, there: Set<string>) {
  const told: string[] = [];
  const server = createServer((socket) => {
    socket.write('BABEL 1.0\nversion babeld-1.12.1\nhost x\nmy-id 0\nok\n');
    socket.on('error', () => {});
    socket.on('data', (data) => {
      for (const line of data.toString().trim().split('\n')) {
        if (line === 'dump') for (const name of there) socket.write(`add interface ${name} up true\n`);
        else told.push(line);
        const [verb, name] = line.split(' ');
        if (verb === 'interface') there.add(name!);
        socket.write('ok\n');
      }
    });
  });
  context.after(() => server.close());
  server.listen(join(folder, 'babeld.sock'));
  await once(server, 'listening');
  return told;
}

test('babeld is told of interfaces that it does not have, and anew of one whose cost is another altogether', async (context) => {
  const folder = temporaryFolder(context);
  const told = await babeld(context, folder, new Set(['cnrome']));
  const peers = [
    { interface: { name: 'cnrome' }, cost: 96 },
    { interface: { name: 'cnoslo' }, cost: null },
    { interface: null },
  ];
  program(folder, 'cryoc', `echo '${JSON.stringify({ peers })}'`);
  await run(folder, 'babeld', { CRYONET_EVENT: 'hooks.started' });
  const first = [
    'flush interface cnrome',
    'interface cnrome type wired rxcost 96',
    'interface cnoslo type wired',
  ];
  assert.deepEqual(told.splice(0), first);
  const event = {
    CRYONET_EVENT: 'link.up',
    CRYONET_PEER: 'riga',
    CRYONET_INTERFACE: 'cnriga',
    CRYONET_COST: '120',
  };
  await run(folder, 'babeld', event);
  await run(folder, 'babeld', { ...event, CRYONET_EVENT: 'link.recovered', CRYONET_COST: '150' });
  assert.deepEqual(told.splice(0), ['interface cnriga type wired rxcost 120']);
  await run(folder, 'babeld', { ...event, CRYONET_EVENT: 'link.path', CRYONET_COST: '300' });
  assert.deepEqual(told.splice(0), ['flush interface cnriga', 'interface cnriga type wired rxcost 300']);
  await run(folder, 'babeld', { ...event, CRYONET_EVENT: 'peer.learned' });
  assert.deepEqual(told, []);
});

test('BIRD reads its configuration anew where costs are others, and only then', async (context) => {
  const folder = temporaryFolder(context);
  const interfaces = join(folder, 'interfaces');
  program(folder, 'cryoc', `cat ${interfaces}`);
  program(folder, 'birdc', `echo "$@" >>${join(folder, 'birdc.log')}`);
  const asked = () =>
    existsSync(join(folder, 'birdc.log')) ? readFileSync(join(folder, 'birdc.log'), 'utf8') : '';
  const lines = (cost: number) =>
    `protocol babel mesh {\n  interface "cnrome" { type wired; rxcost ${cost}; };\n  interface "cn*" { type wired; };\n}\n`;
  writeFileSync(interfaces, lines(96));
  await run(folder, 'bird', { CRYONET_EVENT: 'link.up' });
  assert.equal(
    readFileSync(join(folder, 'bird-babel.conf'), 'utf8'),
    '  interface "cnrome" { type wired; rxcost 96; };\n',
  );
  assert.equal(asked(), 'configure\n');
  await run(folder, 'bird', { CRYONET_EVENT: 'link.degraded' });
  assert.equal(asked(), 'configure\n');
  writeFileSync(interfaces, lines(572));
  await run(folder, 'bird', { CRYONET_EVENT: 'peer.learned' });
  assert.equal(asked(), 'configure\n');
  await run(folder, 'bird', { CRYONET_EVENT: 'link.path' });
  assert.equal(asked(), 'configure\nconfigure\n');
});
