/** Which network interfaces of the machine links may use. */
import { matches } from '../../protocol/glob.ts';

export interface InterfaceRules {
  /** Globs over names; none: every interface. */
  readonly interfaces?: readonly string[] | undefined;
  /** Wins. */
  readonly excludeInterfaces?: readonly string[] | undefined;
}

/** Whether a path may lead through it. */
export function mayUse({ excludeInterfaces = [] }: InterfaceRules, name: string): boolean {
  return !excludeInterfaces.some((glob) => matches(glob, name));
}

/** Whether peers are told its addresses. */
export function mayTell(rules: InterfaceRules, name: string): boolean {
  const { interfaces = [] } = rules;
  return mayUse(rules, name) && (interfaces.length === 0 || interfaces.some((glob) => matches(glob, name)));
}
