/** README's first command where there is nothing yet: a bare Debian, with Debian's own npm and its old Node. */
import assert from 'node:assert/strict';
import { suite } from 'node:test';
import type { Lab } from '../netns-tests/lab/lab.ts';
import type { Program } from '../netns-tests/lab/program.ts';
import { story } from '../netns-tests/lab/story.ts';
import { Hopeless, waitFor } from '../netns-tests/lab/wait.ts';
import { startBare } from './lab/bare.ts';
import { type Suite, suites } from './lab/root.ts';

/** Milliseconds: Debian's npm is more than four hundred packages. Far more than a machine that does nothing else takes. */
const setUpBound = 1_200_000;
const demoBound = 120_000;
const restBound = 600_000;
const timeout = 2_400_000;

/** The Debian releases' own Node, too old to run this project. */
const oldNode = { bookworm: 18, trixie: 20 };

suite('a bare Debian', () => {
  for (const release of suites) {
    const tools = ['unshare', 'mmdebstrap', 'git'] as const;
    story(`on a bare ${release} ./dev demo shows a mesh`, tools, (lab) => demo(lab, release), timeout);
  }
});

async function demo(lab: Lab, release: Suite): Promise<void> {
  const began = performance.now();
  const nobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp';
  const bare = await startBare(
    lab,
    release,
    `./dev demo
     echo "this is Node $(node --version)"
     npm test --silent -- test/options.test.ts && echo "npm's scripts run"
     ${nobody} ./dev test test/options.test.ts`,
  );
  /** Seconds from the start until the output matches. */
  const at = async (pattern: RegExp, bound: number) => {
    await waitFor(`${pattern}`, bound, () => shownBy(bare), pattern.test.bind(pattern));
    return (performance.now() - began) / 1000;
  };
  const setUp = await at(/^Five machines$/m, setUpBound);
  const seen = await at(/^ +10 links: each node has an interface to each other one/m, demoBound);
  lab.figures.push(
    `set-up ${setUp.toFixed(0)} s, then until the mesh is seen ${(seen - setUp).toFixed(1)} s`,
  );

  const { code } = await bare.ends(restBound);
  const shown = bare.output;
  assert.equal(code, 0, shown);
  for (const name of ['npm', 'gcc', 'libc6-dev', 'iproute2', 'iputils-ping', 'iperf3'])
    assert.match(shown, new RegExp(`^dev: installing from Debian[^:]*:[\\s\\S]* ${name}$| ${name} `, 'm'));
  assert.match(shown, /^dev: fetching the npm packages/m);
  assert.equal(shown.match(/\d\.\d\d ms/g)?.length, 20, 'a ping over every interface, both ways');
  assert.match(shown, /^ +\d+ Mbit\/s through cn/m);
  assert.equal(shown.match(/^ +\w+ – \w+ +cn\w+ +direct /gm)?.length, 10);
  assert.match(shown, /^Every namespace, process and interface of it is gone again/m);
  for (const line of shown.slice(0, shown.indexOf('this is Node')).split('\n'))
    assert.ok([...line].length <= 80, line);

  assert.match(shown, new RegExp(`^this is Node v${oldNode[release]}\\.`, 'm'));
  assert.match(shown, /^npm's scripts run$/m);
  assert.match(shown, /sudo apt-get install --no-install-recommends .*clang/);
  assert.equal(shown.match(/^ℹ fail 0$/gm)?.length, 2, "npm's test and that of nobody");
}

function shownBy(program: Program): string {
  const { running, output } = program;
  if (!running && !output.includes('Every namespace')) throw new Hopeless(output);
  return output;
}
