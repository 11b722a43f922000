/** `cryoc policy`: what people read, in 80 columns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ask } from '../cli/command.ts';
import { policy } from '../cli/commands/policy.ts';
import type { PolicyReport, PolicyVerdict } from '../protocol/policy.ts';

async function shown(reply: PolicyReport | PolicyVerdict, ...args: readonly string[]): Promise<string> {
  const asked: unknown[] = [];
  const ask = (async (...call: readonly unknown[]) => {
    asked.push(call);
    return reply;
  }) as Ask;
  const done = await policy.run({ args, options: {} }, ask);
  assert.ok(typeof done === 'object');
  assert.equal(done.json, reply);
  assert.equal(asked.length, 1);
  const text = done.text({ columns: 80 } as never);
  for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
  return text;
}

test('the lists and sections, in the order of the files', async () => {
  assert.equal(
    await shown({ allow: [], deny: [], sections: [] }, 'list'),
    'allow  (everyone)\ndeny   (nobody)\n',
  );
  const sections: PolicyReport['sections'] = [
    { peer: 'edge-*', settings: { path: 'relay', cost: 300 } },
    { peer: 'rome', settings: { deny: true } },
  ];
  assert.equal(
    await shown({ allow: ['a', 'b-*'], deny: ['x'], sections }, 'list'),
    [
      'allow  a b-*',
      'deny   x',
      '[peer."edge-*"]  path = "relay", cost = 300',
      '[peer.rome]      deny = true',
      '',
    ].join('\n'),
  );
});

const base = { peer: 'rome', settings: {}, sections: {}, reason: '' } as const;

const verdicts: readonly [verdict: PolicyVerdict, lines: readonly string[]][] = [
  [
    { ...base, permitted: true, state: null },
    [
      'rome is permitted: nothing denies it, and no list says who is allowed',
      'no node of that ID is known now',
    ],
  ],
  [
    {
      ...base,
      permitted: false,
      option: 'deny',
      glob: 'r*',
      state: 'denied',
      reason: 'denied by our policy',
    },
    ['rome is denied: "r*" of deny matches it', 'its link is denied: denied by our policy'],
  ],
  [
    { ...base, permitted: false, option: 'allow', state: null },
    ['rome is denied: nothing in allow matches it', 'no node of that ID is known now'],
  ],
  [
    {
      ...{ ...base, permitted: true, section: 'r*', state: 'up' },
      settings: { allow: true, path: 'direct' },
      sections: { allow: 'r*', path: 'rome' },
    },
    ['rome is permitted: by [peer."r*"]', 'path = "direct", by [peer.rome]', 'its link is up'],
  ],
];

for (const [verdict, lines] of verdicts) {
  test(lines[0]!, async () => assert.equal(await shown(verdict, 'test', 'rome'), `${lines.join('\n')}\n`));
}

test('a test without an ID says what is missing, and asks nobody', async () => {
  const ask = (() => assert.fail('asked')) as Ask;
  await assert.rejects(policy.run({ args: ['test'], options: {} }, ask), {
    code: 'bad_config',
    message: 'policy test takes the ID of a peer',
  });
});
