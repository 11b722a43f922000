/** Gathers what whoever mends a bug asks for, in one text without secrets. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'smol-toml';
import * as z from 'zod/mini';
import { optionTable } from '../../control/config/options.ts';
import { routes } from '../../protocol/api.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { serviceConfigFile } from '../../protocol/paths.ts';
import type { StatusReport } from '../../protocol/status.ts';
import { version } from '../../protocol/version.ts';
import type { Ask, Shown } from '../command.ts';
import { follow } from '../event-stream.ts';
import { printable, printableLine } from '../printable.ts';
import type { At } from '../watching.ts';
import { lookedAt } from './doctor.ts';
import { type Machine, thisMachine } from './machine.ts';
import { Masking } from './masking.ts';

/** Lines of the journal. */
const journalLines = '300';
/** Milliseconds: what the node has kept of events comes at once. */
const eventsTime = 1000;
/** ID of the event before the first. */
const first = '0-0';

export interface Sources {
  readonly machine: Machine;
  /** Of the service. */
  readonly configFile: string;
}

const here: Sources = { machine: thisMachine, configFile: serviceConfigFile(process.env) };

export async function bugreport(
  ask: Ask,
  at: At,
  options: { readonly addresses: boolean; readonly file: string },
  { machine, configFile }: Sources = here,
): Promise<Shown> {
  const report = await ask('GET /v1/status').catch((error: unknown) => {
    if (!(error instanceof CryonetError)) throw error;
    return error;
  });
  const { sections: configuration, secrets } = configurationOf(configFile);
  const status = report instanceof CryonetError ? undefined : report;
  const masking = new Masking([...secrets, ...tokensIn(status?.tokens?.file, machine)], options.addresses);
  const sections: [name: string, text: string][] = [
    ['machine', await machineOf(machine)],
    ['status', report instanceof CryonetError ? reasonOf(report) : written(report)],
    [
      'doctor',
      (await lookedAt(ask, machine))
        .map(({ state, subject, message }) => `${state} ${subject}: ${message}`)
        .join('\n'),
    ],
    ['events', status === undefined ? '' : await eventsOf(at)],
    ...configuration,
    ['journal', await journalOf(machine)],
  ];
  const masked = sections.map(([name, text]) => ({
    name: masking.mask(name),
    text: masking.mask(text).trimEnd(),
  }));
  return {
    json: { sections: masked },
    text: () => masked.map(({ name, text }) => `== ${printable(name)}\n${lines(text)}\n`).join('\n'),
    file: options.file,
  };
}

/** Lines end where they did; nothing else steers a terminal. */
function lines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

function written(report: StatusReport): string {
  return JSON.stringify(z.encode(routes['GET /v1/status'].reply, report), null, 1);
}

async function machineOf(machine: Machine): Promise<string> {
  const system = machine.read('/etc/os-release');
  const name = 'text' in system ? /^PRETTY_NAME="?(.*?)"?$/m.exec(system.text)?.[1] : undefined;
  const { platform, arch, version: node } = process;
  return [
    `cryoc ${version}, Node ${node}, ${platform} ${machine.release} ${arch}`,
    `${name ?? 'unknown system'}`,
    `made ${new Date().toISOString()} by ${machine.isRoot ? 'root' : 'a user who is not root'}`,
  ].join('\n');
}

/** What the node has kept; a stream of events has no end. */
async function eventsOf(at: At): Promise<string> {
  const told: string[] = [];
  const read = at(async (socketPath) => {
    for await (const { event } of follow(socketPath, first))
      if (event !== undefined) told.push(printableLine(event));
  });
  const late = new Promise((resolve) => setTimeout(resolve, eventsTime));
  await Promise.race([read, late]).catch((error: unknown) => told.push(reasonOf(error)));
  read.catch(() => {});
  return told.join('');
}

async function journalOf(machine: Machine): Promise<string> {
  const units = ['-u', 'cryonet', '-u', 'cryonet-dataplane'];
  const ran = await machine.run('journalctl', [
    ...units,
    '-n',
    journalLines,
    '-o',
    'short-iso',
    '--no-pager',
  ]);
  if (ran === 'missing') return 'there is no journalctl';
  return 'out' in ran ? ran.out : `not to be read: ${ran.complaint}`;
}

/** The file and those of `config.d` beside it, without values that may be secret. */
function configurationOf(file: string): { sections: [string, string][]; secrets: string[] } {
  const sections: [string, string][] = [];
  const secrets: string[] = [];
  for (const path of [file, ...besides(file)]) {
    try {
      const values = parse(readFileSync(path, 'utf8'));
      sections.push([path, JSON.stringify(hidden(values, secrets), null, 1)]);
    } catch (error) {
      // What a parser says of a line may repeat it.
      const { code } = error as NodeJS.ErrnoException;
      sections.push([
        path,
        code === undefined ? 'is no TOML: cryonet --check-config' : `not to be read: ${code}`,
      ]);
    }
  }
  return { sections, secrets };
}

function besides(file: string): string[] {
  const folder = join(dirname(file), 'config.d');
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.toml'))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

const known = new Map(optionTable.map((row) => [row.flag, row]));

/** Of options that may hold a secret, and of what is no option, the name alone. Of ICE servers the part before the user. */
function hidden(values: Readonly<Record<string, unknown>>, secrets: string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (name === 'id' || name === 'peer') return [name, value];
      if (name === 'ice-servers') return [name, serversIn(value, secrets)];
      const row = known.get(name);
      const isSecret = row === undefined || row.secret === true;
      if (isSecret) secrets.push(...textsIn(value));
      return [name, isSecret ? '(not shown)' : value];
    }),
  );
}

function serversIn(value: unknown, secrets: string[]): string[] {
  return textsIn(value)
    .flatMap((text) => text.split(','))
    .map((server) => {
      const [uri = '', ...rest] = server.trim().split('|');
      secrets.push(...rest.map((part) => part.replace(/^secret:/, '')));
      return rest.length === 0 ? uri : `${uri}|(not shown)`;
    });
}

function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return typeof value === 'string' ? [value] : [];
}

/** A token that somebody has put into a log or a name is not to be seen there either. */
function tokensIn(file: string | null | undefined, machine: Machine): string[] {
  const content = file == null ? undefined : machine.read(file);
  return content !== undefined && 'text' in content
    ? content.text.split('\n').map((line) => line.trim())
    : [];
}
