/** Bad input: each one clear line or a closed connection, never a crash. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { farEnd, linked, linkTo, losses, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { startPing } from './lab/ping.ts';
import type { Program } from './lab/program.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { waitFor } from './lab/wait.ts';

/** What only a program says that something has caught unawares. */
const defect = /\bdefect\b|^\s+at /m;

/** What a program said that ended at once: its exit code and its lines. */
async function lastWords(program: Program): Promise<{ code: number | null; lines: string[] }> {
  const { code } = await program.ends();
  return { code, lines: program.output.split('\n').filter(Boolean) };
}

/*
 *   a
 */
story('bad configuration is one line that names the option, and exit code 78', [], async (lab) => {
  const { hosts } = await lan(lab, ['a'], 'ipv4');
  const host = hosts[0]!;
  const unreadable = join(lab.directory, 'unreadable');
  writeFileSync(unreadable, 'token');
  chmodSync(unreadable, 0);
  // Without these even root is bound by a file's mode.
  const bound = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--'];
  const cases: [named: RegExp, options: string[], through?: string[]][] = [
    [/--frobnicate/, ['--frobnicate']],
    [/--check-interval/, ['--check-interval', 'tomorrow']],
    [/--check-timeout/, ['--check-timeout', '']],
    [/--send-alive-interval/, ['--send-alive-interval', '-5s']],
    [/--ice-servers/, ['--ice-servers', 'smtp:example.org']],
    [/--ice-servers/, ['--ice-servers', 'turn:example.org:3478|user']],
    [/--ws-servers/, ['--ws-servers', 'http://example.org']],
    [/--listen/, ['--listen', 'nowhere']],
    [/--buf-size/, ['--buf-size', 'big']],
    [/--mtu/, ['--mtu', '12']],
    [/--udp-port/, ['--udp-port', '99999']],
    [/--interface-prefix/, ['--interface-prefix', 'no/slash']],
    [/--token-file/, ['--token-file', join(lab.directory, 'missing')]],
    [/--token-file/, ['--token-file', lab.directory]],
    [/--token-file/, ['--token-file', unreadable], bound],
  ];
  const found: { options: string[]; code: number | null; clear: string }[] = [];
  for (const [index, [named, options, through]] of cases.entries()) {
    const node = new CryonetNode(host, { id: `case${index}`, options, through }).start();
    const { code, lines } = await lastWords(node.program);
    const clear = lines.length === 1 && named.test(lines[0]!) ? 'yes' : lines.join('\n');
    found.push({ options, code, clear });
  }
  assert.deepEqual(
    found,
    cases.map(([, options]) => ({ options, code: 78, clear: 'yes' })),
  );
  const badId = new CryonetNode(host, { id: 'no spaces!' }).start();
  const { code, lines } = await lastWords(badId.program);
  assert.equal(code, 78);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /ID/);
});

/*
 *   a   two nodes that want one port, two that want one socket
 */
story('a port in use is told in one line and waited for, a socket in use ends the start', [], async (lab) => {
  const { hosts } = await lan(lab, ['a'], 'ipv4');
  const first = new CryonetNode(hosts[0]!, { id: 'first', listen: true }).start();
  await first.ready();
  const samePort = new CryonetNode(hosts[0]!, { id: 'second', listen: true }).start();
  await samePort.says(/reason=".*:2333: another program has that port;/);
  const sameSocket = new CryonetNode(hosts[0]!, {
    ...{ id: 'third', listen: 2334, options: ['--runtime-dir', first.runtimeDirectory] },
  }).start();
  await complains(sameSocket.program, /socket|sock\b/);
  assert.equal((await first.status()).node.id, 'first');
  await samePort.ready();
  await first.stop();
  await samePort.says(/warning is over about=listen/, 20_000);
});

/** The program ends with an error, one line of which says why and none of which is a stack. */
async function complains(program: Program, why: RegExp): Promise<void> {
  const { code, lines } = await lastWords(program);
  assert.ok(code === 1 || code === 78, `exit code ${code}`);
  assert.ok(
    lines.some((line) => why.test(line)),
    program.output,
  );
  assert.doesNotMatch(program.output, defect);
}

/*
 *   a   /dev/net is empty ──┐
 *   b   no CAP_NET_ADMIN ───┘ switch
 */
story('no TUN device and no permission are told in one line', ['unshare', 'setpriv'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
  const emptied = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', '-'];
  const a = new CryonetNode(hosts[0]!, { through: emptied }).start();
  const unprivileged = ['setpriv', '--bounding-set=-net_admin', '--'];
  const b = new CryonetNode(hosts[1]!, { through: unprivileged }).start();
  await complains(a.program, /modprobe tun.*\/dev\/net\/tun/);
  await complains(b.program, /CAP_NET_ADMIN/);
  await waitFor(
    'no process to be left',
    5_000,
    async () => (await Promise.all(hosts.map((host) => host.processes()))).flat(),
    (left) => left.length === 0,
  );
});

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤ switch; garbage from c to a's port, and into a's own sockets
 *   c ─────────────┘
 */
story('garbage on every socket closes a connection and nothing else', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv4');
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  const link = await linked(a, b, 30_000);
  const before = await a.status();
  const pids = [before.node.pid, before.dataplane.pid!];
  const traffic = startPing(a.namespace, farEnd(link), { count: 2000, interval: 0.02 });
  const residentBefore = pids.map(residentMegabytes);

  const client = join(import.meta.dirname, 'lab', 'garbage.ts');
  const { stdout } = await hosts[2]!.$`${process.execPath} ${client} ${a.namespace.address} 2333`;
  const fates: Record<string, string> = JSON.parse(stdout);
  assert.deepEqual(
    Object.entries(fates).filter(([, fate]) => fate === 'open' || fate === 'status 200'),
    [],
  );
  for (const socket of [a.controlSocket, a.dataplaneSocket]) {
    for (const bytes of [randomBytes(1 << 20), Buffer.alloc(1 << 20, 0xff), Buffer.alloc(8)]) {
      await feed(socket, bytes);
    }
  }
  const slow = await slowReader(a.controlSocket, 20_000);
  // The beginning of a request, and of a frame of four megabytes: more of them than there is room for.
  const unfinished = [
    ...(await beginnings(a.controlSocket, 'GET /status HTTP/1.1\r\nX: ', 64)),
    ...(await beginnings(a.dataplaneSocket, Buffer.of(0, 64, 0, 0, 147), 16)),
  ];

  const after = await a.ready();
  assert.deepEqual([after.node.pid, after.dataplane.pid], pids, 'neither program was started again');
  linkTo(after, 'b');
  const { sent, received } = await traffic.ends(60_000);
  assert.deepEqual([sent, received], [2000, 2000]);
  assert.deepEqual(losses(await pingMesh([a, b])), []);
  for (const [index, pid] of pids.entries()) {
    const grown = residentMegabytes(pid) - residentBefore[index]!;
    assert.ok(grown < 80, `${pid} has grown by ${grown} MB`);
  }
  for (const socket of [slow, ...unfinished]) socket.destroy();
  assert.doesNotMatch(a.program.output, defect);
});

/** Writes into a unix socket; done once the other side has closed it, or has taken everything. */
async function feed(path: string, bytes: Buffer): Promise<void> {
  const socket = connect(path);
  let settled = false;
  const settle = () => {
    settled = true;
  };
  socket.on('error', settle).on('close', settle).resume();
  socket.write(bytes, settle);
  await waitFor(
    `${path} to take or refuse ${bytes.length} bytes`,
    5_000,
    () => settled,
    (done) => done,
  );
  socket.destroy();
}

/** Asks for the status this often on one connection and reads nothing. */
async function slowReader(path: string, requests: number): Promise<Socket> {
  const socket = connect(path);
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET /status HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(requests));
  await waitFor(
    'the requests to stop being taken, or all to be',
    20_000,
    (() => {
      const seen: number[] = [];
      return () => {
        seen.push(socket.writableLength);
        return seen.slice(-10);
      };
    })(),
    (lengths) => lengths.length === 10 && new Set(lengths).size === 1,
  );
  return socket;
}

/** A hundred connections that say this and nothing else; done once the server has so few of them as it has room for. */
async function beginnings(path: string, bytes: string | Buffer, room: number): Promise<Socket[]> {
  const sockets = Array.from({ length: 100 }, () => connect(path).on('error', () => {}));
  for (const socket of sockets) socket.resume().write(bytes);
  await waitFor(
    `${path} to have room`,
    10_000,
    () => sockets.filter(({ closed }) => !closed).length,
    (open) => open <= room,
  );
  return sockets;
}

function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}
