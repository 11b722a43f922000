/** The examples for fleets: their syntax, and that what they name exists. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { parse } from 'yaml';
import { commands } from '../cli/commands.ts';
import { optionTable } from '../control/config/options.ts';
import { metrics } from '../control/io/metrics.ts';

const folder = join(import.meta.dirname, '../examples');
const read = (path: string) => readFileSync(join(folder, path), 'utf8');

/** What a test looks into. */
// biome-ignore lint/suspicious/noExplicitAny: what is there is what the test says.
type Document = any;

const flags = new Set(optionTable.map(({ flag }) => flag));

/** Queries name metrics of the node, and of these labels that they have, or that Prometheus gives each series. */
function namesExist(query: string): void {
  const byName = new Map(metrics.map((metric) => [metric.name, new Set(metric.labels)]));
  const named = [...query.matchAll(/\b(cryonet_\w+)(?:\{([^}]*)\})?/g)];
  for (const [, name, matchers = ''] of named) {
    const labels = byName.get(name!);
    assert.ok(labels !== undefined, `no metric ${name}: ${query}`);
    for (const [, label] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
      assert.ok(labels.has(label!) || ['instance', 'job'].includes(label!), `${name} has no ${label}`);
  }
  let depth = 0;
  for (const character of query.replaceAll(/"[^"]*"/g, '')) {
    if ('([{'.includes(character)) depth++;
    if (')]}'.includes(character)) depth--;
    assert.ok(depth >= 0, query);
  }
  assert.equal(depth, 0, query);
}

/** Labels that a text shows: `{{ $labels.peer }}`, `{{peer}}`. */
function shownIn(text: string): string[] {
  return [...text.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label]) => label!);
}

test('every YAML file is one, with no key twice', () => {
  const files = globSync('**/*.yaml', { cwd: folder });
  assert.ok(files.length >= 7);
  for (const file of files) assert.equal(typeof parse(read(file), { strict: true }), 'object', file);
});

suite('the container', () => {
  const { cryonet } = parse(read('compose/compose.yaml')).services;

  test('is unhealthy where a command of cryoc says so', () => {
    const [kind, program, name, ...words] = cryonet.healthcheck.test as string[];
    assert.deepEqual([kind, program], ['CMD', 'cryoc']);
    const command = commands.find((each) => each.name === name)!;
    for (const word of words)
      assert.ok(
        command.options.some((option) => option.flags === word),
        word,
      );
  });

  test('is given options that exist, and what the entry of the image needs', () => {
    for (const word of cryonet.command as string[])
      if (word.startsWith('--')) assert.ok(flags.has(word.slice(2)), word);
    assert.deepEqual([cryonet.cap_add, cryonet.devices], [['NET_ADMIN'], ['/dev/net/tun']]);
  });
});

test('the role of Ansible writes options that exist, and tells no token', () => {
  const role = 'ansible/roles/cryonet';
  const { cryonet_config: config, ...defaults } = parse(read(`${role}/defaults/main.yaml`));
  for (const name of Object.keys(config)) assert.ok(flags.has(name), name);
  const tasks = parse(read(`${role}/tasks/main.yaml`)) as Document[];
  const withToken = tasks.filter((task) => JSON.stringify(task).includes('{{ cryonet_token'));
  assert.deepEqual(
    withToken.map((task) => task.no_log),
    [true],
  );
  const listened = (parse(read(`${role}/handlers/main.yaml`)) as Document[]).map(({ listen }) => listen);
  for (const { notify } of tasks) if (notify !== undefined) assert.ok(listened.includes(notify));
  const used = new Set([...JSON.stringify(tasks).matchAll(/\{\{ (cryonet_\w+)/g)].map(([, name]) => name!));
  for (const name of used) assert.ok(name in defaults, name);
});

test('the module for NixOS has settings that exist, and its brackets match', () => {
  const text = read('nixos/cryonet.nix')
    .replaceAll(/#.*$/gm, '')
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  const open: string[] = [];
  for (const character of text) {
    if ('([{'.includes(character)) open.push(character);
    if (')]}'.includes(character)) assert.equal(open.pop(), '([{'[')]}'.indexOf(character)]);
  }
  assert.deepEqual(open, []);
  for (const [, flag] of read('nixos/cryonet.nix').matchAll(/ --([a-z-]+)/g))
    assert.ok(flags.has(flag!), flag);
});

suite('Prometheus', () => {
  const rules = parse(read('prometheus/alerts.yaml')).groups.flatMap(
    (group: Document) => group.rules,
  ) as Document[];

  test('has alerts that name metrics and labels of the node', () => {
    assert.ok(rules.length >= 8);
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
    for (const { expr, labels } of rules) {
      namesExist(expr);
      assert.match(labels.severity, /^(critical|warning|info)$/);
    }
  });

  test('says in each alert what the alert has', () => {
    const known = new Map(metrics.map((metric) => [metric.name, [...metric.labels, 'instance']]));
    for (const { alert, expr, annotations } of rules) {
      const [name] = /cryonet_\w+/.exec(expr) ?? [];
      const labels = known.get(name ?? '') ?? ['instance'];
      for (const label of shownIn(Object.values(annotations).join(' ')))
        assert.ok(labels.includes(label), `${alert}: ${label}`);
    }
  });

  test('reads the alerts that are there', () => {
    assert.deepEqual(parse(read('prometheus/scrape.yaml')).rule_files, ['alerts.yaml']);
  });
});

test('the dashboard asks for metrics and labels of the node, and shows each panel once', () => {
  const { panels, templating } = JSON.parse(read('grafana/cryonet.json')) as Document;
  assert.equal(new Set(panels.map(({ id }: Document) => id)).size, panels.length);
  const targets = panels.flatMap((panel: Document) => panel.targets) as Document[];
  const known = new Map(metrics.map((metric) => [metric.name, [...metric.labels, 'instance']]));
  for (const { expr, legendFormat } of targets) {
    namesExist(expr);
    const labels = known.get(/cryonet_\w+/.exec(expr)![0])!;
    for (const label of shownIn(legendFormat)) assert.ok(labels.includes(label), `${expr}: ${label}`);
  }
  for (const { query } of templating.list) namesExist(query);
});
