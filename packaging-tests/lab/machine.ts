/** A machine: a root tree in which a real systemd was booted, on a network namespace of the lab. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ask } from '../../netns-tests/lab/ask.ts';
import { type Commands, commandsBehind } from '../../netns-tests/lab/commands.ts';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import type { Program } from '../../netns-tests/lab/program.ts';
import { waitFor } from '../../netns-tests/lab/wait.ts';
import { type StatusReport, statusReport } from '../../protocol/status.ts';
import { packagesDirectory } from './packages.ts';
import { rootOf, type Suite } from './root.ts';

const script = join(import.meta.dirname, 'machine.sh');
const bootMilliseconds = 30_000;

/** Of a machine's /dev/net/tun, as minimal systems and containers have it, and as udev makes it. */
export const tunModes = ['0600', '0660', '0666'] as const;
export type TunMode = (typeof tunModes)[number];

export interface MachineOptions {
  /** `none`: it has no /dev/net/tun. Unless a story is about it, CRYONET_TUN_MODE says which, or the strictest. */
  readonly tunMode?: TunMode | 'none';
  /** Capabilities that nobody in it has, as in containers that are not privileged. */
  readonly without?: readonly string[];
}

const usualTunMode = process.env.CRYONET_TUN_MODE ?? tunModes[0];

export class Machine {
  /** Also its host name. */
  readonly name: string;
  readonly namespace: Namespace;
  /** Commands inside, as root. */
  readonly $: Commands;
  readonly #program: Program;

  private constructor(namespace: Namespace, program: Program) {
    this.name = namespace.label;
    this.namespace = namespace;
    this.#program = program;
    this.$ = commandsBehind(() => this.#enter());
  }

  /** Boots and waits until everything that starts at boot has. What the journal says is the machine's log. */
  static async boot(
    namespace: Namespace,
    suite: Suite = 'bookworm',
    { tunMode, without = [] }: MachineOptions = {},
  ): Promise<Machine> {
    const { lab, label, name } = namespace;
    const cgroup = join(unifiedHierarchy(), name);
    mkdirSync(cgroup);
    lab.defer(() => removeCgroup(cgroup));
    const program = lab.start({
      label: `${label}.machine`,
      command: [
        ...['unshare', '--mount', '--propagation', 'private'],
        ...[script, label, rootOf(suite), name, packagesDirectory(), cgroup],
        ...[tunMode ?? usualTunMode, without.join()],
      ],
    });
    const machine = new Machine(namespace, program);
    await machine.#booted();
    return machine;
  }

  /** Of the script that boots it, outside. */
  get pid(): number {
    return this.#program.pid;
  }

  /** The properties of a unit. */
  async show<const Property extends string>(unit: string, ...properties: readonly Property[]) {
    const { stdout } = await this.$`systemctl show ${unit} --property ${properties.join(',')}`;
    const entries = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const at = line.indexOf('=');
        return [line.slice(0, at), line.slice(at + 1)];
      });
    return Object.fromEntries(entries) as Record<Property, string>;
  }

  /** Waits for a unit to be in a state, `active` or another. */
  async unitIs(unit: string, state: string, bound = 30_000): Promise<void> {
    await waitFor(
      `${unit} on ${this.name} to be ${state}`,
      bound,
      () => this.show(unit, 'ActiveState', 'SubState', 'StatusText', 'Result'),
      ({ ActiveState }) => ActiveState === state,
    );
  }

  /** The pid, inside, of a unit's main process; 0 where there is none. */
  async mainPid(unit: string): Promise<number> {
    return Number((await this.show(unit, 'MainPID')).MainPID);
  }

  /** What the unit wrote in this boot. */
  async journal(unit: string): Promise<string> {
    const { stdout } = await this.$`journalctl --boot --output=cat --unit=${unit}`;
    return stdout;
  }

  /** `GET /status`, validated, as `cryoc` asks for it: a program for each look would keep a processor busy. */
  async status(): Promise<StatusReport> {
    const { status, body } = await ask(`/proc/${leader(this.pid)}/root/run/cryonet/control.sock`, '/status');
    if (status !== 200) throw new Error(body);
    return statusReport.parse(JSON.parse(body));
  }

  /** Writes a file inside. */
  async write(path: string, text: string, mode = '0644'): Promise<void> {
    await this.$({
      input: text,
    })`mkdir -p ${dirname(path)} && umask 077 && cat >${path} && chmod ${mode} ${path}`;
  }

  /** Every file, directory and link outside of /proc, /sys, /dev, /run and /tmp, sorted. */
  async files(): Promise<string[]> {
    const { stdout } = await this.$`find / -xdev -not -path '/tmp/*' -not -path '/var/tmp/*' -print`;
    return stdout.split('\n').filter(Boolean).sort();
  }

  async reboot(): Promise<void> {
    const before = leader(this.pid);
    await this.$({ nothrow: true })`systemctl reboot`;
    await waitFor(
      `${this.name} to be down`,
      bootMilliseconds,
      () => leader(this.pid),
      (pid) => pid !== before,
    );
    await this.#booted();
  }

  async #booted(): Promise<void> {
    await waitFor(
      `${this.name} to boot`,
      bootMilliseconds,
      async () => (await this.$({ nothrow: true })`systemctl is-system-running`).stdout.trim(),
      (state) => state === 'running' || state === 'degraded',
    );
  }

  /** Into the namespaces of the machine's PID 1, which is another one after each boot. */
  #enter(): string[] {
    const target = leader(this.pid);
    if (target === undefined) throw new Error(`${this.name} is not running`);
    const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'];
    const environment = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LANG=C.UTF-8'];
    return [
      ...['nsenter', `--target=${target}`, ...namespaces, '--', 'env', '--chdir=/', '-i', ...environment],
      'DEBIAN_FRONTEND=noninteractive',
    ];
  }
}

/** The machine's PID 1: the descendant of its script that is the first of a PID namespace. */
function leader(pid: number): number | undefined {
  const nested = /^NSpid:\t.*\t(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1];
  if (nested === '1') return pid;
  for (const child of read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean)) {
    const found = leader(Number(child));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Nothing where it is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Where cgroup version 2 is mounted, alone or beside version 1. */
function unifiedHierarchy(): string {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
  if (mount === undefined) throw new Error('no cgroup version 2 hierarchy is mounted');
  return mount;
}

/** Kills all that is in it and takes it away with those below. */
function removeCgroup(cgroup: string): void {
  for (let round = 0; round < 500; round++) {
    try {
      writeFileSync(join(cgroup, 'cgroup.kill'), '1');
      removeTree(cgroup);
      return;
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function removeTree(cgroup: string): void {
  for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(cgroup, entry.name));
  }
  rmdirSync(cgroup);
}
