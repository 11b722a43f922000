/** What a check of the machine says. */
import type { StatusReport } from '../../../protocol/status.ts';
import type { Machine } from '../machine.ts';

export interface Finding {
  /** A short stable name of what was looked at. */
  readonly subject: string;
  /** `wrong`: the message says what to do. `unknown`: it says what could not be looked at, and who could. */
  readonly state: 'ok' | 'wrong' | 'unknown';
  readonly message: string;
}

interface Looked {
  readonly machine: Machine;
  /** Undefined where no node answers. */
  readonly report: StatusReport | undefined;
}

export type Check = (looked: Looked) => Finding[] | Promise<Finding[]>;

export const ok = (subject: string, message: string): Finding => ({ subject, state: 'ok', message });
export const wrong = (subject: string, message: string): Finding => ({ subject, state: 'wrong', message });
export const unknown = (subject: string, message: string): Finding => ({
  subject,
  state: 'unknown',
  message,
});
