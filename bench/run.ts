/**
 * ./dev bench: the project's figures, and those of its peers, measured in turns on one machine.
 *
 *   --runs N      takes of each figure, default 5; --quick means 1, with shorter windows
 *   --only NAME   one measurement (repeatable): startup, mesh-10, mesh-30, first-packet, throughput, udp, round-trip, fan,
 *                 idle, links, restart
 *   --with NAME   one subject (repeatable): cryonet, wireguard-go, nebula, tinc, cable, bare node-datachannel
 *   --json FILE   every value, for other programs
 *
 * Prints a Markdown table and what was reached and missed. Exit code 1 where a take broke, not where a figure
 * is missed.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Lab } from '../netns-tests/lab/lab.ts';
import { lacks } from '../netns-tests/lab/needs.ts';
import type { Contender } from './contender.ts';
import { cryonet } from './contenders/cryonet.ts';
import { nebula } from './contenders/nebula.ts';
import { tinc } from './contenders/tinc.ts';
import { wireguardGo } from './contenders/wireguard-go.ts';
import { fan } from './measure/fan.ts';
import { firstPacket } from './measure/first-packet.ts';
import { idle } from './measure/idle.ts';
import { links } from './measure/links.ts';
import { mesh } from './measure/mesh.ts';
import { restart } from './measure/restart.ts';
import { roundTrip } from './measure/round-trip.ts';
import { startup } from './measure/startup.ts';
import { bare, bareWide, cable, throughput } from './measure/throughput.ts';
import { udpRate } from './measure/udp.ts';
import type { Measurement, Readings, Subject } from './measurement.ts';
import { Pinger } from './pinger.ts';
import { addTargetRatios, addThroughputRatios, record, type Table } from './ratios.ts';
import { type Column, markdown, shown, summaryOf, verdicts } from './report.ts';

const defaultRuns = 5;

interface Choice {
  readonly runs: number;
  readonly quick: boolean;
  readonly only: readonly string[];
  readonly with: readonly string[];
  readonly json: string | undefined;
}

interface Failure {
  readonly measurement: string;
  readonly subject: string;
  readonly run: number;
  readonly message: string;
}

async function main(): Promise<number> {
  const choice = choose();
  const missing = lacks(['nft', 'iperf3', 'cc']);
  if (missing.length > 0) {
    for (const { what, remedy } of missing) console.error(`bench needs ${what}: ${remedy}`);
    return 1;
  }
  const columns = [cryonet, wireguardGo, nebula, tinc].map((contender) => columnOf(contender));
  const present = [cryonet, wireguardGo, nebula, tinc].filter((_, index) => columns[index] !== undefined);
  const discovering = present.filter((contender) => contender !== wireguardGo);
  const all: Measurement[] = [
    startup(present, cryonet),
    mesh(discovering, 10),
    mesh(discovering, 30),
    firstPacket(present),
    throughput(present, cryonet),
    udpRate(present, cryonet),
    roundTrip(present),
    fan(present),
    idle(present),
    links(cryonet),
    restart(present),
  ];
  const chosen = all.filter(({ name }) => choice.only.length === 0 || choice.only.includes(name));
  const directory = mkdtempSync(join(tmpdir(), 'cryonet-bench-'));
  const pinger = new Pinger(directory);
  process.on('exit', () => {
    pinger.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const started = machine();
  const { results, failures } = await measure(chosen, choice, pinger);
  addThroughputRatios(results, 'tcp-ratio', bare);
  addThroughputRatios(results, 'tcp-ratio-wide', bareWide);
  addTargetRatios(results, cryonet.name);
  const takes = choice.runs === 1 ? 'one take' : `medians of ${choice.runs}, in turns`;
  console.log(`${started}; ${takes}\n`);
  const shownColumns = columns.filter((column) => column !== undefined);
  print(results, shownColumns, failures);
  if (choice.json) {
    const values = Object.fromEntries(
      [...results].map(([key, subjects]) => [key, Object.fromEntries(subjects)]),
    );
    writeFileSync(
      choice.json,
      `${JSON.stringify({ started, ended: machine(), values, failures }, undefined, 2)}\n`,
    );
  }
  return failures.length > 0 ? 1 : 0;
}

function choose(): Choice {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      with: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
    },
  });
  const runs = Number(values.runs ?? (values.quick ? 1 : defaultRuns));
  if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs takes a number from 1');
  return { ...values, runs, json: values.json };
}

/** Undefined where its program is not installed. */
function columnOf({ name, package: debian }: Contender): Column | undefined {
  if (!debian) return { name, version: '' };
  try {
    const version = execFileSync('dpkg-query', ['-W', '-f', `\${source:Upstream-Version}`, debian], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return { name, version: version.replace(/\+.*/, '') };
  } catch {
    console.error(`without ${name}, which ./dev bench installs`);
    return undefined;
  }
}

/** Subjects take turns within each run, so that what else the machine does falls on all alike. */
async function measure(
  measurements: readonly Measurement[],
  { runs, quick, with: names }: Choice,
  pinger: Pinger,
): Promise<{ results: Table; failures: Failure[] }> {
  const results: Table = new Map();
  const failures: Failure[] = [];
  for (const measurement of measurements) {
    const subjects = measurement.subjects.filter(({ name }) => names.length === 0 || names.includes(name));
    for (let run = 0; run < runs; run++) {
      for (const subject of subjects) {
        const what = `${measurement.name} ${run + 1}/${runs} ${subject.name}`;
        try {
          const readings = await take(measurement, subject, pinger, quick);
          console.error(`${what}: ${JSON.stringify(readings)}`);
          for (const [key, value] of Object.entries(readings)) record(results, key, subject.name, run, value);
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          console.error(`${what}: FAILED: ${message}`);
          failures.push({ measurement: measurement.name, subject: subject.name, run: run + 1, message });
        }
      }
    }
  }
  return { results, failures };
}

async function take(
  measurement: Measurement,
  subject: Subject,
  pinger: Pinger,
  quick: boolean,
): Promise<Readings> {
  await using lab = new Lab();
  const { limit } = measurement;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit / 1000} s`)), limit);
  });
  try {
    return await Promise.race([subject.take({ lab, pinger, quick }), late]);
  } catch (error) {
    const log = join(tmpdir(), `cryonet-bench-${measurement.name}-${subject.name}.log`);
    writeFileSync(log, lab.logTails(1000));
    console.error(`what its programs said: ${log}`);
    throw error;
  } finally {
    clearTimeout(timer);
    pinger.close();
  }
}

function print(results: Table, columns: readonly Column[], failures: readonly Failure[]): void {
  console.log(markdown(results, columns, cryonet.name));
  for (const name of [cable, bare, bareWide]) {
    const summary = summaryOf(results, { key: 'tcp' }, name);
    if (summary) console.log(`\n${name}: ${shown(summary, { digits: 0 })} Mbit/s in the same runs`);
  }
  console.log(`\n${verdicts(results, cryonet.name).join('\n')}`);
  for (const { measurement, subject, run, message } of failures) {
    console.log(`broke    ${measurement} of ${subject}, take ${run}: ${message}`);
  }
}

function machine(): string {
  const processors = cpus();
  const load = loadavg()[0]!.toFixed(1);
  return `${processors.length} × ${processors[0]?.model.trim()}, Linux ${release()}, Node ${process.version}, load ${load}`;
}

process.exitCode = await main();
