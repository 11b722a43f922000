/** Looks at the machine and at the node, if there is one, for what keeps links from working. */
import { CryonetError, exitCode, reasonOf } from '../../protocol/errors.ts';
import type { Ask, Shown } from '../command.ts';
import { printable } from '../printable.ts';
import { type Terminal, wrap } from '../terminal.ts';
import { type Finding, wrong } from './checks/finding.ts';
import { firewall } from './checks/firewall.ts';
import { kernelChecks } from './checks/kernel.ts';
import { meddlingChecks } from './checks/meddling.ts';
import { nodeChecks } from './checks/node.ts';
import { sysctlChecks } from './checks/sysctls.ts';
import { type Machine, thisMachine } from './machine.ts';

const checks = [...nodeChecks, ...kernelChecks, firewall, ...sysctlChecks, ...meddlingChecks];

export async function doctor(ask: Ask, machine: Machine = thisMachine): Promise<Shown> {
  const findings = await lookedAt(ask, machine);
  const isWrong = findings.some(({ state }) => state === 'wrong');
  return {
    json: { findings },
    text: (terminal) => findings.map((finding) => rendered(finding, terminal)).join(''),
    exitCode: isWrong ? exitCode.down : exitCode.ok,
  };
}

/** All there is to say, in the order of the checks. Never rejects for what is wrong. */
export async function lookedAt(ask: Ask, machine: Machine): Promise<Finding[]> {
  const findings: Finding[] = [];
  const report = await ask('GET /v1/status').catch((error: unknown) => {
    if (!(error instanceof CryonetError)) throw error;
    findings.push(wrong('control', reasonOf(error)));
    return undefined;
  });
  for (const check of checks) findings.push(...(await check({ machine, report })));
  return findings;
}

const words = { ok: 'ok', wrong: 'to do', unknown: '?' } as const;
const colors = { ok: 32, wrong: 31, unknown: 33 } as const;
/** Columns of state and subject. */
const stateWidth = 7;
const subjectWidth = 16;

function rendered({ subject, state, message }: Finding, { width, color }: Terminal): string {
  const indent = stateWidth + subjectWidth;
  const word = words[state].padEnd(stateWidth);
  const shown = color ? `\x1b[${colors[state]}m${word}\x1b[0m` : word;
  return wrap(printable(message), width - indent)
    .map((line, i) => `${i === 0 ? `${shown}${subject.padEnd(subjectWidth)}` : ' '.repeat(indent)}${line}\n`)
    .join('');
}
