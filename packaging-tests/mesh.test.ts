/** Two machines with the package: their mesh, and what services go through. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Flow } from '../netns-tests/lab/flow.ts';
import { Train } from '../netns-tests/lab/train.ts';
import { assertSoon, timed, waitFor } from '../netns-tests/lab/wait.ts';
import type { Machine } from './lab/machine.ts';
import { control, dataplane, interfacesOf, linkedDirectly, mesh } from './lab/pair.ts';
import { machineStory } from './lab/story.ts';

/** Least packets that a journey must have had to count. */
const enough = 100;

/** What networkd is told of every interface, and of the only other one, which is configured already. */
const plainNetwork = '[Match]\nName=*\n[Network]\nLinkLocalAddressing=ipv6\n';
const keptNetwork = '[Match]\nName=eth0\n[Link]\nUnmanaged=yes\n';

machineStory(
  'two machines, one invited by the other, are linked directly and carry TCP, whatever networkd is told of all interfaces',
  ['iperf3'],
  async (lab) => {
    const { berlin, osaka, osakaFromBerlin } = await mesh(lab, true);
    assert.deepEqual(await interfacesOf(berlin), ['cnosaka']);
    assert.deepEqual(await interfacesOf(osaka), ['cnberlin']);
    const { stdout } =
      await osaka.$`cd /etc/cryonet && stat -c '%a %U:%G %n' token config.d config.d/50-join.toml`;
    assert.deepEqual(stdout.trim().split('\n'), [
      ...['600 root:root token', '750 root:cryonet config.d', '640 root:cryonet config.d/50-join.toml'],
    ]);
    await networkdLeavesAlone(berlin, 'cnosaka');
    const wanted = ['CRYONET_PEER=osaka', 'CRYONET_EVENT=link.up'];
    const told = await berlin.$`journalctl --boot --catalog --unit=${control} ${wanted}`;
    assert.match(
      told.stdout,
      /cryonet\[\d+\]: link up .*peer=osaka.*\n.*Subject: The link with osaka is up\n/,
    );
    assert.match(told.stdout, /Packets pass by the interface cnosaka, which has carrier\.$/m);
    const flow = await Flow.start(osaka.namespace, osakaFromBerlin, berlin.namespace, { seconds: 2 });
    const { bytes } = await flow.end();
    lab.figures.push(`one TCP flow: ${Math.round((bytes * 8) / 2 / 1e6)} Mbit/s`);
    assert.ok(bytes > 1e6, lab.figures.at(-1));
  },
);

/** Starts networkd with a file for all interfaces, at first without that of the package. */
async function networkdLeavesAlone(machine: Machine, device: string): Promise<void> {
  const { index, address } = (await machine.status()).peers[0]!.interface!;
  const stateIs = async (words: RegExp) =>
    waitFor(
      `networkd to say ${words.source} of ${device}`,
      30_000,
      async () => (await machine.$({ nothrow: true })`cat /run/systemd/netif/links/${index}`).stdout,
      (text) => words.test(text),
    );
  await machine.write('/etc/systemd/network/08-eth0.network', keptNetwork);
  await machine.write('/etc/systemd/network/10-all.network', plainNetwork);
  await machine.$`ln -s /dev/null /etc/systemd/network/05-cryonet.network && systemctl start systemd-networkd`;
  await stateIs(/^ADMIN_STATE=config/m);
  await machine.$`rm /etc/systemd/network/05-cryonet.network && systemctl restart systemd-networkd`;
  await stateIs(/^ADMIN_STATE=unmanaged$/m);
  // What networkd did to it before is undone.
  await waitFor(
    `the address of ${device} to be there`,
    30_000,
    () => machine.namespace.ip<{ addr_info: { local: string }[] }>('addr', 'show', 'dev', device),
    ([link]) => link!.addr_info.some(({ local }) => local === address),
  );
}

machineStory('the firewall of README knows the node by its slice, from boot on', [], async (lab) => {
  const { berlin, osaka } = await mesh(lab);
  await osaka.write('/etc/nftables.conf', `flush ruleset\n${firewall()}`);
  await osaka.$`systemctl enable nftables`;
  await osaka.reboot();
  await linkedDirectly(osaka, berlin);
  await linkedDirectly(berlin, osaka);
  await osaka.unitIs('nftables.service', 'active');
  assert.match((await osaka.$`nft list set inet filter cryonet-ports`).stdout, /elements = {.*\b2333\b/s);
});

machineStory('control is restarted and killed under a ping, and nothing is lost', [], async (lab) => {
  const { berlin, osaka, osakaFromBerlin } = await mesh(lab);
  const pid = await berlin.mainPid(dataplane);
  const train = Train.start(berlin.namespace, osakaFromBerlin);
  await train.arrives();
  await berlin.$`systemctl restart ${control}`;
  await linkedDirectly(berlin, osaka);
  await train.arrives();
  const before = await berlin.mainPid(control);
  await berlin.$`systemctl kill --signal=SIGKILL ${control}`;
  await anotherPid(berlin, control, before);
  await linkedDirectly(berlin, osaka);
  const { lost, sent } = await train.stop();
  assert.deepEqual(lost, []);
  assert.ok(sent > enough, `${sent} packets`);
  assert.equal(await berlin.mainPid(dataplane), pid);
});

machineStory(
  'a stop says goodbye, and a start brings the link back, each for a hook to see',
  [],
  async (lab) => {
    const { berlin, osaka } = await mesh(lab);
    const hooks = 'cryonet-hooks.service';
    await berlin.unitIs(hooks, 'inactive');
    await berlin.write(
      '/etc/cryonet/hooks.d/hang',
      '#!/bin/sh\nsleep 1000 & [ "$CRYONET_EVENT" != link.lost ] || wait\n',
      '0755',
    );
    const note =
      '#!/bin/sh\necho "$CRYONET_EVENT $CRYONET_PEER $CRYONET_INTERFACE" | tee -a /run/cryonet-hooks/seen\n';
    await berlin.write('/etc/cryonet/hooks.d/note', note, '0755');
    await berlin.write(
      `/etc/systemd/system/${hooks}.d/short.conf`,
      '[Service]\nExecStart=\nExecStart=/usr/bin/cryoc hooks --timeout 1s\n',
    );
    await berlin.$`systemctl daemon-reload && systemctl start ${hooks}`;
    const sees = (words: string) =>
      waitFor(
        `a hook to see ${words}`,
        30_000,
        async () => (await berlin.$({ nothrow: true })`cat /run/cryonet-hooks/seen`).stdout,
        (seen) => seen.includes(words),
      );
    await sees('hooks.started');
    const { milliseconds } = await timed(async () => {
      await osaka.$`systemctl stop ${control}`;
      await gone(berlin);
    });
    lab.figures.push(`the peer's interface is gone ${milliseconds} ms after the stop began`);
    assertSoon(milliseconds, 2_000, lab);
    for (const unit of [control, dataplane]) {
      await osaka.unitIs(unit, 'inactive');
      assert.equal((await osaka.show(unit, 'Result')).Result, 'success', unit);
    }
    assert.deepEqual(await interfacesOf(osaka), []);
    await sees('link.lost osaka cnosaka');
    await osaka.$`systemctl start ${control}`;
    await linkedDirectly(berlin, osaka);
    await sees('link.up osaka cnosaka');
    const journal = await berlin.journal(hooks);
    assert.match(journal, /^hang was ended: it took longer than 1 s$/m);
    assert.match(journal, /^note: link\.up osaka cnosaka$/m);
    await waitFor(
      'nothing that a hook has started to be left',
      30_000,
      () => berlin.$`cat /sys/fs/cgroup/cryonet.slice/${hooks}/cgroup.procs`,
      ({ stdout }) => stdout.trim().split('\n').length === 1,
    );
  },
);

machineStory('after a reboot a node is who it was, and in its mesh', [], async (lab) => {
  const { berlin, osaka } = await mesh(lab);
  const { identity } = (await osaka.status()).node;
  await osaka.reboot();
  await linkedDirectly(osaka, berlin);
  await linkedDirectly(berlin, osaka);
  assert.equal((await osaka.status()).node.identity, identity);
});

machineStory(
  'a node that was installed again is accepted by the command that its peer shows',
  [],
  async (lab) => {
    const { berlin, osaka } = await mesh(lab);
    const before = (await osaka.status()).node.fingerprint!;
    const pid = await berlin.mainPid(control);
    await osaka.$`systemctl stop ${control} && rm -r /var/lib/cryonet/* && systemctl start ${control}`;
    const refused = await waitFor(
      'berlin to refuse it',
      30_000,
      async () => (await berlin.status()).warnings?.find(({ subject }) => subject === 'identity'),
      (warning) => warning !== undefined,
    );
    assert.equal(refused!.peer, 'osaka');
    assert.ok(refused!.message.includes(before), refused!.message);
    const [, command] = /accept its new key by: (.*)$/.exec(refused!.message) ?? [];
    assert.match(command!, /systemctl reload cryonet$/);
    await berlin.$`sh -c ${command!}`;
    await linkedDirectly(berlin, osaka);
    assert.equal(await berlin.mainPid(control), pid);
  },
);

machineStory('a daemon that hangs is killed by the watchdog and started again', [], async (lab) => {
  const { berlin, osaka } = await mesh(lab);
  for (const unit of [control, dataplane]) {
    await osaka.write(`/etc/systemd/system/${unit}.d/watchdog.conf`, '[Service]\nWatchdogSec=3s\n');
  }
  await osaka.$`systemctl daemon-reload && systemctl restart ${dataplane} ${control}`;
  await linkedDirectly(osaka, berlin);
  for (const unit of [control, dataplane]) {
    const before = await osaka.mainPid(unit);
    await osaka.$`systemctl kill --signal=SIGSTOP ${unit}`;
    await anotherPid(osaka, unit, before, 30_000);
    assert.match(await osaka.journal(unit), /Watchdog timeout/);
    await linkedDirectly(osaka, berlin);
    await linkedDirectly(berlin, osaka);
  }
});

/** Waits until systemd has started another process for the unit, and that one is ready. */
async function anotherPid(machine: Machine, unit: string, before: number, bound = 10_000): Promise<void> {
  await waitFor(
    `${unit} to be started again`,
    bound,
    () => machine.show(unit, 'ActiveState', 'MainPID'),
    ({ ActiveState, MainPID }) => ActiveState === 'active' && Number(MainPID) !== before,
  );
}

/** The rules in README that name the slice. */
function firewall(): string {
  const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```nft\n(.*?)^```$/gms)].map(([, rules]) => rules!);
  const [rules, ...more] = blocks.filter((block) => block.includes('"cryonet.slice"'));
  assert.ok(rules !== undefined && more.length === 0);
  return rules;
}

async function gone(machine: Machine): Promise<void> {
  await waitFor(
    `the interfaces of ${machine.name} to go`,
    10_000,
    () => interfacesOf(machine),
    (names) => names.length === 0,
  );
}
