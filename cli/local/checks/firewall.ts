/** Whether rules of nftables drop the node's UDP port. */
import * as z from 'zod/mini';
import { type Check, ok, unknown, wrong } from './finding.ts';

const usualPort = 2333;

/** libnftables-json(5), as far as it is understood. */
const listing = z.object({ nftables: z.array(z.record(z.string(), z.unknown())) });
const chainSchema = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  hook: z.optional(z.string()),
  policy: z.optional(z.string()),
});
const ruleSchema = z.object({
  family: z.string(),
  table: z.string(),
  chain: z.string(),
  expr: z.array(z.record(z.string(), z.unknown())),
});

type Chain = z.infer<typeof chainSchema>;
type Rule = z.infer<typeof ruleSchema>;

export const firewall: Check = async ({ machine, report }) => {
  const subject = 'firewall';
  const port = report?.dataplane.udpPort ?? usualPort;
  const ran = await machine.run('nft', ['-j', 'list', 'ruleset']);
  if (ran === 'missing') return [unknown(subject, 'there is no nft to ask: look at what drops UDP by hand')];
  if (!('out' in ran))
    return [unknown(subject, machine.isRoot ? `nft says: ${ran.complaint}` : 'look as root')];
  const rules = rulesIn(ran.out);
  if (rules === undefined) return [unknown(subject, 'what nft lists is not understood')];
  return [verdictOn(rules, port)];
};

interface Rules {
  readonly chains: readonly Chain[];
  readonly rules: readonly Rule[];
}

function rulesIn(text: string): Rules | undefined {
  try {
    const { nftables } = z.parse(listing, JSON.parse(text));
    const all = <T>(key: string, schema: z.ZodMiniType<T>) =>
      nftables.flatMap((each) => (key in each ? [z.parse(schema, each[key])] : []));
    return { chains: all('chain', chainSchema), rules: all('rule', ruleSchema) };
  } catch {
    return undefined;
  }
}

/** In the order of the kernel each base chain of the hook has a say; one that drops is enough. */
function verdictOn({ chains, rules }: Rules, port: number) {
  const subject = 'firewall';
  const inputs = chains.filter(({ hook }) => hook === 'input');
  for (const chain of inputs) {
    const inTable = rules.filter(({ family, table }) => family === chain.family && table === chain.table);
    const name = `table ${chain.family} ${chain.table}, chain ${chain.name}`;
    const place = `${chain.family} ${chain.table} ${chain.name}`;
    // Rules of iptables are shown without what they match.
    if (inTable.some(({ expr }) => expr.some((each) => 'xt' in each)))
      return unknown(
        subject,
        `the rules of ${name} are those of iptables: look for UDP ${port} in iptables-save`,
      );
    const ofPort = inTable.filter((rule) => matches(rule, port));
    const first = ofPort.find((rule) => verdictOf(rule) !== undefined);
    const verdict = first === undefined ? undefined : verdictOf(first);
    if (verdict === 'drop')
      return wrong(
        subject,
        `a rule of ${name} drops UDP ${port}: nft insert rule ${place} udp dport ${port} accept, and in /etc/nftables.conf`,
      );
    if (verdict === 'accept') continue;
    if (chain.policy === 'drop' || endsInDrop(inTable, chain))
      return wrong(
        subject,
        `${name} drops what no rule accepts, and none accepts UDP ${port}: nft insert rule ${place} udp dport ${port} accept, and in /etc/nftables.conf`,
      );
  }
  const what =
    inputs.length === 0 ? 'nft has no rules for what comes in' : `nothing that nft lists drops UDP ${port}`;
  return ok(subject, what);
}

function verdictOf({ expr }: Rule): 'accept' | 'drop' | undefined {
  if (expr.some((each) => 'accept' in each)) return 'accept';
  return expr.some((each) => 'drop' in each || 'reject' in each) ? 'drop' : undefined;
}

/** A last rule that drops all is a policy by another name. */
function endsInDrop(rules: readonly Rule[], chain: Chain): boolean {
  const last = rules.findLast((rule) => rule.chain === chain.name);
  return last !== undefined && verdictOf(last) === 'drop' && !last.expr.some((each) => 'match' in each);
}

/** Whether the rule names the port as UDP's (or any transport's) destination, by itself, in a set or in a range. */
function matches({ expr }: Rule, port: number): boolean {
  return expr.some((each) => {
    const match = z.safeParse(portMatch, each.match);
    return match.success && includes(match.data.right, port);
  });
}

const portMatch = z.object({
  op: z.enum(['==', 'in']),
  left: z.object({ payload: z.object({ protocol: z.enum(['udp', 'th']), field: z.literal('dport') }) }),
  right: z.unknown(),
});

function includes(right: unknown, port: number): boolean {
  if (right === port) return true;
  if (Array.isArray(right)) return right.some((each) => includes(each, port));
  const { range, set } = (right ?? {}) as { range?: unknown; set?: unknown };
  if (Array.isArray(range)) return Number(range[0]) <= port && port <= Number(range[1]);
  return set !== undefined && includes(set, port);
}
