import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Link, newLink } from '../control/core/link.ts';
import { summaryOf } from '../control/core/summary.ts';

const minute = 60_000;
const now = 1000 * 1440 * minute;

type Shown = readonly [peer: string, downFor: number | 'up', changes?: Partial<Link>];

/** What is said of these links. */
function said(shown: readonly Shown[], known = shown.length): string {
  const links = shown.map(([peer, downFor, changes]): [string, Link] => {
    const link = newLink('self', peer, now);
    const report = { state: 'up' } as NonNullable<Link['report']>;
    Object.assign(link, downFor === 'up' ? { report, downSince: null } : { downSince: now - downFor });
    Object.assign(link, { everUp: true }, changes);
    return [peer, link];
  });
  return summaryOf({ links: new Map(links) }, known, now);
}

const cases: readonly [links: readonly Shown[], line: string, known?: number][] = [
  [[], 'no peers yet'],
  [[['a', 'up']], '1 of 1 up'],
  [
    [
      ['a', 'up'],
      ['rome', 4.9 * minute],
    ],
    '1 of 2 up; rome down 4m',
  ],
  [[['rome', 20_000]], '0 of 1 up; rome down'],
  [
    [
      ['rome', 59 * minute],
      ['oslo', 60 * minute],
      ['riga', 50 * 1440 * minute],
    ],
    '0 of 3 up; rome down 59m, oslo down 1h, riga down 50d',
  ],
  [
    [
      ['a', minute],
      ['b', 2 * minute],
      ['c', 3 * minute],
      ['d', 4 * minute],
      ['e', 5 * minute],
    ],
    '0 of 5 up; a down 1m, b down 2m, c down 3m, 2 more down',
  ],
  [
    [
      ['a', 'up'],
      ['invented', 9 * minute, { everUp: false }],
    ],
    '1 of 4000 up',
    4000,
  ],
  [
    [
      ['a', 'up'],
      ['denied', 9 * minute, { denied: true }],
    ],
    '1 of 2 up',
  ],
];

for (const [links, line, known] of cases) {
  test(`the summary is ${line}`, () => assert.equal(said(links, known), line));
}
