/** ./dev bench: the project's figures, and those of its peers, measured in turns on one machine. choice.ts has its help. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { lacks } from '../netns-tests/lab/needs.ts';
import { bundledPrograms } from '../packaging/bundled.ts';
import { type Choice, choose, help } from './choice.ts';
import type { Contender } from './contender.ts';
import { cryonetOf } from './contenders/cryonet.ts';
import { nebula } from './contenders/nebula.ts';
import { tinc } from './contenders/tinc.ts';
import { wireguardGo } from './contenders/wireguard-go.ts';
import { measures } from './measures.ts';
import { addRatios, type Column, markdown, old, own, shown, verdicts } from './report.ts';
import { Results } from './results.ts';
import { inTurns } from './turns.ts';

const others = [wireguardGo, nebula, tinc];
const baselines = measures.flatMap((measure) => Object.keys(measure.baselines ?? {}));

async function main(): Promise<number> {
  const names = [own, old, ...others.map(({ name }) => name), ...baselines];
  const choice = choose(process.argv.slice(2), measures, names);
  if (choice.help) {
    process.stdout.write(help(measures, names));
    return 0;
  }
  const missing = lacks(['nft', 'iperf3', 'cc']);
  for (const { what, remedy } of missing) console.error(`bench needs ${what}: ${remedy}`);
  if (missing.length > 0) return 1;

  const present = new Map<Contender, Column>();
  for (const contender of await contendersOf(choice)) {
    const column = columnOf(contender);
    if (column) present.set(contender, column);
  }
  const chosen = measures.filter(({ name }) => choice.only.includes(name));
  const figures = chosen.flatMap((measure) => measure.figures);
  const started = machine();
  const results = new Results();
  const failures = await inTurns(chosen, [...present.keys()], choice, results);
  for (const { derive } of chosen) derive?.(results);
  addRatios(results, figures);

  const takes = choice.runs === 1 ? 'one take' : `medians of ${choice.runs}, in turns`;
  const columns = [...present.values()];
  console.log(`${started}; ${takes}\n\n${markdown(results, figures, columns)}`);
  for (const { key, unit, digits } of figures) {
    for (const name of baselines) {
      const summary = results.has(key) ? results.summary(key, name) : undefined;
      if (summary) console.log(`\n${name}: ${shown(summary, digits)} ${unit} in the same runs`);
    }
  }
  console.log(`\n${[...verdicts(results, figures, columns), ...failures].join('\n')}`);
  if (choice.json) {
    const all = { started, ended: machine(), values: results, failures };
    writeFileSync(choice.json, `${JSON.stringify(all, undefined, 2)}\n`);
  }
  return failures.length > 0 ? 1 : 0;
}

async function contendersOf({ with: names, old: folder }: Choice): Promise<Contender[]> {
  const ours = names.includes(own) ? [cryonetOf(own, await bundledPrograms())] : [];
  const before =
    folder === undefined || !names.includes(old) ? [] : [cryonetOf(old, await bundledBy(folder))];
  return [...ours, ...before, ...others.filter(({ name }) => names.includes(name))];
}

/** The programs of another checkout, bundled by its own sources. Resolves with their folder. */
async function bundledBy(checkout: string): Promise<string> {
  if (!existsSync(join(checkout, 'service/launch/build')))
    throw new Error(`--old takes the folder of a checkout in which ./dev build has run: not ${checkout}`);
  const theirs = await import(pathToFileURL(join(resolve(checkout), 'packaging/bundled.ts')).href);
  return (theirs as { bundledPrograms: typeof bundledPrograms }).bundledPrograms();
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

function machine(): string {
  const processors = cpus();
  const load = loadavg()[0]!.toFixed(1);
  return `${processors.length} × ${processors[0]?.model.trim()}, Linux ${release()}, Node ${process.version}, load ${load}`;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
