/** `cryoc policy`: which peers the node links with, and why. */
import { CryonetError } from '../../protocol/errors.ts';
import { type PolicyReport, type PolicyVerdict, sectionName } from '../../protocol/policy.ts';
import type { OwnCommand } from '../command.ts';

export const policy: OwnCommand = {
  name: 'policy',
  arguments: {
    '<ACTION>': 'list, or test one peer',
    '[PEER]': 'of test, an ID, also one that no node has',
  },
  words: ['list', 'test'],
  options: [],
  help: 'what the configuration says of peers; for one, which section or option decides, and what follows',
  async run({ args: [action, peer] }, ask) {
    if (action === 'list') {
      const report = await ask('GET /v1/policy');
      return { json: report, text: () => listText(report) };
    }
    if (peer === undefined) throw new CryonetError('bad_config', 'policy test takes the ID of a peer');
    const verdict = await ask('GET /v1/policy/{id}', { id: peer });
    return { json: verdict, text: () => verdictText(verdict) };
  },
};

function listText({ allow, deny, sections }: PolicyReport): string {
  const width = Math.max(0, ...sections.map(({ peer }) => sectionName(peer).length));
  return [
    `allow  ${allow.length === 0 ? '(everyone)' : allow.join(' ')}`,
    `deny   ${deny.length === 0 ? '(nobody)' : deny.join(' ')}`,
    ...sections.map(({ peer, settings }) => {
      const list = Object.entries(settings).map(([name, value]) => setting(name, value));
      return `${sectionName(peer).padEnd(width)}  ${list.join(', ')}`.trimEnd();
    }),
    '',
  ].join('\n');
}

function verdictText({ peer, permitted, settings, sections, state, reason, ...by }: PolicyVerdict): string {
  const others = Object.entries(settings).filter(([name]) => name !== 'allow' && name !== 'deny');
  return [
    `${peer} is ${permitted ? 'permitted' : 'denied'}: ${because(by)}`,
    ...others.map(([name, value]) => `${setting(name, value)}, by ${sectionName(sections[name]!)}`),
    state === null ? 'no node of that ID is known now' : `its link is ${state}${reason && `: ${reason}`}`,
    '',
  ].join('\n');
}

function because({ section, option, glob }: Pick<PolicyVerdict, 'section' | 'option' | 'glob'>): string {
  if (section !== undefined) return `by ${sectionName(section)}`;
  if (option === undefined) return 'nothing denies it, and no list says who is allowed';
  return glob === undefined ? `nothing in ${option} matches it` : `"${glob}" of ${option} matches it`;
}

function setting(name: string, value: unknown): string {
  return `${name} = ${JSON.stringify(value)}`;
}
