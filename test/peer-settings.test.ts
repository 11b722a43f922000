import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newPeerSections, type PeerSettings, settingOf } from '../control/core/peer-settings.ts';
import { decisionOn, type Policy } from '../control/core/policy.ts';

const sections = (list: Readonly<Record<string, PeerSettings>>) =>
  newPeerSections(Object.entries(list).map(([pattern, settings]) => ({ pattern, settings })));

test('the section of the ID wins, then the longer glob, then the later one, for each setting by itself', () => {
  const peers = sections({
    '*': { path: 'direct', cost: 1, allow: true },
    'edge-?': { path: 'relay' },
    'edge-*': { cost: 7 },
    'e*-1': { cost: 5 },
    'edge-1': { deny: true },
    '?dge-2': { cost: 8 },
  });
  const of = (peer: string) => [
    settingOf(peers, peer, 'path'),
    settingOf(peers, peer, 'cost'),
    settingOf(peers, peer, 'deny'),
  ];
  assert.deepEqual(of('edge-1'), ['relay', 7, true]);
  assert.deepEqual(of('edge-2'), ['relay', 8, undefined], 'of equally long ones the later');
  assert.deepEqual(of('edge-12'), ['direct', 7, undefined]);
  assert.deepEqual(of('elsewhere'), ['direct', 1, undefined]);
  assert.equal(settingOf(undefined, 'edge-1', 'path'), undefined);
});

const verdicts: readonly [what: string, policy: Policy, peer: string, decision: unknown][] = [
  ['nothing', { allow: [], deny: [] }, 'a', { permitted: true }],
  ['deny', { allow: ['a'], deny: ['x', '?'] }, 'a', { permitted: false, option: 'deny', glob: '?' }],
  ['allow', { allow: ['b', 'a*'], deny: [] }, 'a', { permitted: true, option: 'allow', glob: 'a*' }],
  ['a list of others', { allow: ['b'], deny: [] }, 'a', { permitted: false, option: 'allow' }],
  [
    'a section over deny',
    { allow: [], deny: ['*'], peers: sections({ a: { allow: true } }) },
    'a',
    { permitted: true, section: 'a' },
  ],
  [
    'a section over allow',
    { allow: ['a'], deny: [], peers: sections({ '*': { deny: true } }) },
    'a',
    { permitted: false, section: '*' },
  ],
  [
    'the ID over a glob, whichever of the two it has',
    { allow: [], deny: [], peers: sections({ a: { allow: true }, '*': { deny: true } }) },
    'a',
    { permitted: true, section: 'a' },
  ],
  [
    'what is not allowed',
    { allow: [], deny: [], peers: sections({ a: { allow: false } }) },
    'a',
    { permitted: false, section: 'a' },
  ],
  [
    'what is not denied',
    { allow: ['b'], deny: ['a'], peers: sections({ a: { deny: false } }) },
    'a',
    { permitted: true, section: 'a' },
  ],
  [
    'a section without either',
    { allow: [], deny: ['a'], peers: sections({ a: { cost: 1 } }) },
    'a',
    { permitted: false, option: 'deny', glob: 'a' },
  ],
];

for (const [what, policy, peer, decision] of verdicts) {
  test(`what decides about a peer: ${what}`, () => assert.deepEqual(decisionOn(policy, peer), decision));
}
