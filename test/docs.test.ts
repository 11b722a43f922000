/** The documents follow the code. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import { commands } from '../cli/commands.ts';
import { renderPeer } from '../cli/render-peer.ts';
import { renderStatus } from '../cli/render-status.ts';
import { frame } from '../cli/top/frame.ts';
import { optionTable } from '../control/config/options.ts';
import { rowsOfPeers } from '../control/config/peer-options.ts';
import { expectedDrawing } from '../netns-tests/lab/grid.ts';
import { routes } from '../protocol/api.ts';
import { environmentName } from '../protocol/command-line.ts';
import { errorCodes, exitCode } from '../protocol/errors.ts';
import { eventMeanings } from '../protocol/events.ts';
import { exampleReport, exampleTime } from './status-example.ts';
import { exampleModel } from './top-example.ts';

const root = dirname(import.meta.dirname);
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'docs/decisions.md',
  'docs/measurements.md',
  'docs/routing.md',
  'examples/README.md',
  'netns-tests/README.md',
];
const decisionLines = 8;
const manuals = readdirSync(join(root, 'man')).map((name) => `man/${name}`);
const { version, scripts, dependencies, optionalDependencies, devDependencies } = JSON.parse(
  read('package.json'),
);

suite('options', () => {
  const switchDefault = 'off';

  test('README has a row for each option, with its variable and default, and no other', () => {
    const rows = tableAfter(read('README.md'), '## Options');
    assert.deepEqual(rows[0]?.slice(0, 3), ['`<ID>`', '`ID`', 'required']);
    assert.deepEqual(
      rows.slice(1).map(([option, variable]) => [option, variable]),
      optionTable.map(({ flag, value }) => [
        value === undefined ? `\`--${flag}\`` : `\`--${flag} <${value}>\``,
        `\`${environmentName(flag)}\``,
      ]),
    );
    for (const [index, { flag, value, fallback }] of optionTable.entries()) {
      const shown = rows[index + 1]![2]!;
      if (fallback !== undefined) assert.equal(shown, `\`${fallback}\``, flag);
      else if (value === undefined) assert.equal(shown, switchDefault, flag);
    }
  });

  test('cryonet(1) has an item for each option, with its variable and default, and no other', () => {
    const items = itemsOf(read('man/cryonet.1'), 'OPTIONS');
    assert.match(items.get('.It Ar ID') ?? '', /^\.Ev ID \.$/m);
    const expected = optionTable.map(({ flag, value }) => `.It Fl -${flag}${value ? ` Ar ${value}` : ''}`);
    const programs = ['.It Fl -check-config Op Ar FILE', '.It Fl h , Fl -help', '.It Fl V , Fl -version'];
    assert.deepEqual([...items.keys()], ['.It Ar ID', ...expected, ...programs]);
    for (const [index, { flag, fallback }] of optionTable.entries()) {
      const text = items.get(expected[index]!)!;
      assert.match(text, new RegExp(`^Environment:\n\\.Ev ${environmentName(flag)} \\.$`, 'm'), flag);
      assert.equal(/^Default:\n\.Ql (.+) \.$/m.exec(text)?.[1], fallback, flag);
    }
  });

  test('cryonet(1) has an item for each setting of a peer, and no other', () => {
    const names = [...itemsOf(read('man/cryonet.1'), 'PEERS').keys()];
    assert.deepEqual(
      names,
      [...rowsOfPeers.keys()].map((name) => `.It Ql ${name}`),
    );
  });

  for (const [manual, program] of [
    ['man/cryonet-dataplane.1', 'dataplane/main.ts'],
    ['man/cryoc.1', 'cli/main.ts'],
  ] as const) {
    test(`${manual} has the options of --help`, () => {
      const { status, stdout } = spawnSync(process.execPath, [join(root, program), '--help'], {
        encoding: 'utf8',
        timeout: 20_000,
      });
      assert.equal(status, exitCode.ok);
      const flags = [...itemsOf(read(manual), 'OPTIONS').keys()].map(
        (item) => /Fl -([a-z-]+)/.exec(item)?.[1],
      );
      const shown = [...stdout.matchAll(/^ {2}(?:-\w, )?--([a-z-]+)/gm)].map(([, flag]) => flag);
      assert.deepEqual(flags.sort(), shown.sort());
    });
  }

  test('cryoc(1) has an item for each command, with its arguments, and no other', () => {
    const taken = (name: string) => `${name.startsWith('[') ? ' Op' : ''} Ar ${name.slice(1, -1)}`;
    assert.deepEqual(
      [...itemsOf(read('man/cryoc.1'), 'COMMANDS').keys()].filter((item) => item.includes('Fl -json')),
      commands.map(
        (each) => `.It Cm ${each.name} Oo Fl -json Oc${Object.keys(each.arguments).map(taken).join('')}`,
      ),
    );
    const described = /^\.It Fl (?:\w , Fl )?-[a-z-]+(?: Ar [A-Z:]+)?$/gm;
    const section = read('man/cryoc.1').split('.Sh COMMANDS')[1]!.split('.Sh OPTIONS')[0]!;
    assert.deepEqual(
      section.match(described),
      commands.flatMap((each) =>
        each.options.map(
          ({ flags }) =>
            `.It Fl ${flags
              .slice(1)
              .replace(', -', ' , Fl ')
              .replace(/ <(.*)>/, ' Ar $1')}`,
        ),
      ),
    );
  });

  test('cryoc(1) has an item for each route of the API and each event, with what it is, and no other', () => {
    const items = (section: string) =>
      [...itemsOf(read('man/cryoc.1'), section)].map(([item, text]) => [
        item,
        text.replaceAll('\n', ' ').trim(),
      ]);
    const described = (name: string, words: string) => [
      `.It Ql ${name}`,
      `${words[0]!.toUpperCase()}${words.slice(1)}.`,
    ];
    assert.deepEqual(
      items('HTTP'),
      Object.entries(routes).map(([name, { summary }]) => described(name, summary)),
    );
    assert.deepEqual(
      items('EVENTS'),
      Object.entries(eventMeanings).map(([name, meaning]) => described(name, meaning)),
    );
  });

  test('every cryonet command line and configuration file in the examples has options that exist', () => {
    const flags = new Set(optionTable.map(({ flag }) => flag));
    const text = [...pages, 'man/cryonet.1', 'man/cryonet-dataplane.1'].map(read).join('\n');
    const commands = text.replaceAll(/\\e?\n\s*/g, '').match(/^ *(?:\S+[#$] )?cryonet --.*$/gm) ?? [];
    assert.ok(commands.length >= 4);
    for (const [, flag] of commands.join('\n').matchAll(/ --([a-z-]+)/g)) assert.ok(flags.has(flag!), flag);
    const files = blocks(read('README.md'), 'toml');
    assert.ok(files.length > 0);
    for (const name of files.flatMap((file) => Object.keys(parseToml(file)))) {
      assert.ok(name === 'id' || flags.has(name), name);
    }
  });
});

suite('tables', () => {
  test('ARCHITECTURE has each error code with its meaning, and each exit code', () => {
    const section = read('ARCHITECTURE.md').split('## Errors and exit codes')[1]!;
    assert.deepEqual(
      tableAfter(section, '| code |'),
      Object.entries(errorCodes).map(([code, meaning]) => [`\`${code}\``, meaning]),
    );
    const codes = tableAfter(section, '| exit code |').map(([code]) => Number(code));
    assert.deepEqual(codes, Object.values(exitCode));
  });

  test('ARCHITECTURE gives a reason for each dependency, and for no other', () => {
    const section = read('ARCHITECTURE.md').split('## Dependencies')[1]!;
    const rows = tableAfter(section, '| package |');
    const groups = { run: dependencies, optional: optionalDependencies, development: devDependencies };
    assert.deepEqual(
      rows.map(([name, when]) => [name, when]),
      Object.entries(groups).flatMap(([when, group]) =>
        Object.keys(group).map((name) => [`\`${name}\``, when]),
      ),
    );
    for (const [name, , reason] of rows) assert.ok(reason, name);
  });

  test('CONTRIBUTING has each npm script but the one that npm runs itself', () => {
    const named = new Set(
      [...read('CONTRIBUTING.md').matchAll(/npm (?:run )?([a-z:]+)/g)].map(([, name]) => name),
    );
    for (const name of Object.keys(scripts)) assert.ok(name === 'install' || named.has(name), name);
  });

  test('decisions are short, newest first, and all in the index', () => {
    const text = read('docs/decisions.md');
    const [head, ...decisions] = text.split(/^## /m);
    const titles = decisions.map((decision) => decision.split('\n', 1)[0]!);
    const indexed = [...head!.matchAll(/^- \[(.+)\]\(#(.+)\)$/gm)];
    assert.deepEqual(indexed.map(([, title]) => title).sort(), titles.toSorted());
    for (const [, title, anchor] of indexed) assert.deepEqual(anchors(`## ${title}`), [anchor]);
    const dates = titles.map((title) => /^(\d{4}-\d\d-\d\d): /.exec(title)![1]!);
    assert.deepEqual(dates, dates.toSorted().reverse());
    for (const decision of decisions) {
      const lines = decision.trim().split('\n').slice(2);
      assert.ok(lines.length > 0 && lines.length <= decisionLines, decision);
    }
  });

  test('CHANGELOG has this version', () => {
    assert.ok(read('CHANGELOG.md').includes(`\n## ${version} - `));
  });

  test('README shows what cryoc prints, at 80 columns', () => {
    const terminal = { color: false, width: 80 };
    const readme = read('README.md');
    for (const shown of [
      renderStatus(exampleReport, terminal, exampleTime),
      renderPeer(exampleReport.peers[1]!, exampleReport, terminal, exampleTime),
      `${frame(exampleModel({ columns: 80, rows: 11 }), false).join('\n')}\n`,
    ]) {
      assert.ok(readme.includes(`\n\`\`\`\n${shown}\`\`\`\n`), shown);
    }
  });
});

suite('references', () => {
  test('every npm script that a page names exists', () => {
    for (const page of [...pages, ...manuals]) {
      for (const [, name] of read(page).matchAll(/npm run ([a-z:]+)/g))
        assert.ok(scripts[name!], `${page}: ${name}`);
    }
    assert.ok(scripts.test);
  });

  test('every link inside the project leads somewhere', () => {
    for (const page of pages) {
      const links = read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g);
      for (const [link, file, anchor] of links) {
        const target = file ? join(dirname(page), file) : page;
        assert.ok(existsSync(join(root, target)), `${page}: ${link}`);
        if (anchor) assert.ok(anchors(read(target)).includes(anchor), `${page}: ${link}`);
      }
    }
  });

  test('every file and folder that a page names exists', () => {
    const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const tops = folders
      .map(({ name }) => name)
      .filter((name) => /^[a-z]/.test(name) && name !== 'node_modules');
    const path = new RegExp(`(?<![\\w/~$-])(?:\\./)?(?:${tops.join('|')})/[\\w./-]*\\w`, 'g');
    for (const page of pages) {
      for (const code of codeOf(read(page))) {
        for (const [name] of code.matchAll(path)) assert.ok(existsSync(join(root, name)), `${page}: ${name}`);
      }
    }
  });
});

suite('examples', () => {
  test('the manual pages are clean', { skip: lacks('mandoc', ['-T', 'lint', '/dev/null']) }, () => {
    const { stdout } = spawnSync('mandoc', ['-T', 'lint', ...manuals], { cwd: root, encoding: 'utf8' });
    // Pages of other packages, and our own before they are installed, need not be there.
    const complaints = stdout
      .split('\n')
      .filter((line) => line && !line.includes('referenced manual not found'));
    assert.deepEqual(complaints, []);
  });

  const nft = ['-n', 'nft', '-c', '-f', '-'];
  test('the firewall rules load', { skip: lacks('unshare', nft) }, () => {
    const rules = [...blocks(read('README.md'), 'nft'), ...blocks(read('SECURITY.md'), 'nft')];
    assert.equal(rules.length, 4);
    // What names the services' control group loads where that is: `packaging-tests/` do that.
    for (const input of rules.filter((rule) => !rule.includes('cgroupv2'))) {
      const { status, stderr } = spawnSync('unshare', nft, { input, encoding: 'utf8', timeout: 20_000 });
      assert.equal(status, 0, stderr);
    }
  });

  test('BIRD takes its configuration', { skip: lacks('bird', ['--version']) }, () => {
    const configurations = blocks(read('README.md'), 'bird');
    assert.equal(configurations.length, 1);
    for (const input of configurations) {
      // Standard input is a socket, which has no path to be opened by; behind `cat` it is a pipe.
      const { status, stderr } = spawnSync('sh', ['-c', 'cat | bird -p -c /dev/stdin'], {
        input,
        encoding: 'utf8',
        timeout: 20_000,
      });
      assert.equal(status, 0, stderr);
    }
  });
});

/** Why the command cannot be run here, or false. It is tried with no input. */
function lacks(command: string, args: readonly string[]): string | false {
  const { error, stderr } = spawnSync(command, args, { input: '', encoding: 'utf8', timeout: 20_000 });
  if (error !== undefined) return `${command} is not installed`;
  return /permitted|denied|No such file/.test(stderr) ? stderr.trim() : false;
}

/** The cells of the first table after `mark`, without its head. */
function tableAfter(text: string, mark: string): string[][] {
  const at = text.indexOf(mark);
  assert.ok(at >= 0, mark);
  const lines = text.slice(at).split('\n');
  const head = lines.findIndex((line) => line.startsWith('|---'));
  const rows = lines.slice(head + 1);
  const size = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, size < 0 ? undefined : size).map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The text of each item of the first list in a section of a manual page, by its `.It` line. */
function itemsOf(manual: string, section: string): Map<string, string> {
  const text = manual.split(`.Sh ${section}\n`)[1]!.split('\n.Sh ')[0]!;
  const list = text.slice(text.indexOf('.Bl '), text.lastIndexOf('\n.El'));
  const items = list.split(/^(?=\.It )/m).slice(1);
  return new Map(items.map((item) => [item.split('\n', 1)[0]!, item.slice(item.indexOf('\n') + 1)]));
}

/** The fenced code blocks of one language. */
function blocks(markdown: string, language: string): string[] {
  return [...markdown.matchAll(/^ *```(\w*)\n([\s\S]*?)^ *```$/gm)].flatMap(([, name, code]) =>
    name === language ? [code!] : [],
  );
}

/** All code: blocks and spans. */
function codeOf(markdown: string): string[] {
  const fence = /^ *```[\s\S]*?^ *```$/gm;
  const spans = [...markdown.replaceAll(fence, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  return [...(markdown.match(fence) ?? []), ...spans];
}

/** What GitHub makes of the headings. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test('the grid on the proving ground’s page is the one that its story asserts', () => {
  assert.ok(read('netns-tests/README.md').includes(expectedDrawing()), expectedDrawing());
});

test('no page has a mark of a merge that was not finished', () => {
  const marked = [...pages, ...manuals].filter((path) => /^(<<<<<<<|=======|>>>>>>>)/m.test(read(path)));
  assert.deepEqual(marked, []);
});
