/** `cryoc ping`: asks a peer by the path of its link, and says by which. */
import { setTimeout as pause } from 'node:timers/promises';
import * as z from 'zod/mini';
import { type Pong, routes } from '../../protocol/api.ts';
import { CryonetError, exitCode } from '../../protocol/errors.ts';
import type { Given, OwnCommand } from '../command.ts';
import { printable, printableLine } from '../printable.ts';
import { hostPort } from '../words.ts';

/** Milliseconds. */
const interval = 1000;
/** Milliseconds: the node waits for an answer for four seconds at most. */
const timeout = 6000;

export const ping: OwnCommand = {
  name: 'ping',
  arguments: { '<PEER>': 'ID of a peer' },
  options: [
    { flags: '-c, --count <N>', help: 'ask so many times; by default until it is stopped' },
    { flags: '--until-direct', help: 'stop once an answer comes by direct path, and fail without one' },
  ],
  help: 'ask a peer by its link, a line for each answer with the path that it came by',
  async run(given, ask) {
    const { count, untilDirect, json } = optionsOf(given);
    const id = given.args[0]!;
    const route = 'POST /v1/peers/{id}/ping';
    // Says within two seconds where nobody answers at all.
    await ask('GET /v1/peers/{id}', { id });
    const { promise: stopped, resolve: stop } = Promise.withResolvers<undefined>();
    process.once('SIGINT', () => stop(undefined));
    const pongs: Pong[] = [];
    while (pongs.length < count) {
      const next = performance.now() + interval;
      const pong = await Promise.race([ask(route, { id }, timeout), stopped]);
      if (pong === undefined) break;
      pongs.push(pong);
      process.stdout.write(json ? printableLine(z.encode(routes[route].reply, pong)) : lineOf(pong));
      if (pongs.length === count || (untilDirect && isDirect(pong))) break;
      await Promise.race([pause(Math.max(0, next - performance.now())), stopped]);
    }
    process.stdout.write(json ? printableLine(summaryOf(pongs)) : summaryText(pongs));
    return pongs.some(untilDirect ? isDirect : isAnswer) ? exitCode.ok : exitCode.failure;
  },
};

function optionsOf({ options }: Given) {
  const { count = Number.POSITIVE_INFINITY, untilDirect, json } = options;
  if (count !== Number.POSITIVE_INFINITY && !/^[1-9]\d{0,8}$/.test(String(count)))
    throw new CryonetError('bad_config', `--count takes a number from 1 on, not ${count}`);
  return { count: Number(count), untilDirect: untilDirect === true, json: json === true };
}

function isAnswer({ rtt }: Pong): boolean {
  return rtt !== null;
}

function isDirect(pong: Pong): boolean {
  return isAnswer(pong) && pong.path === 'direct';
}

function lineOf(pong: Pong): string {
  const { peer, rtt, path, reason } = pong;
  const silence = `${path === null ? `no link with ${peer}` : `no answer from ${peer} via ${wayOf(pong)}`}: ${reason}`;
  const line = rtt === null ? silence : `pong from ${peer} via ${wayOf(pong)} in ${inWords(rtt)} ms`;
  return `${printable(line)}\n`;
}

/** `direct 198.51.100.23:61021`. Of a relayed path the address of the relay. */
function wayOf({ path, relayed, pair }: Pong): string {
  const end = pair?.local.type === 'relay' ? pair.local : pair?.remote;
  return `${relayed ? 'relay' : path}${end === undefined ? '' : ` ${hostPort(end)}`}`;
}

function inWords(milliseconds: number): string {
  return milliseconds.toFixed(milliseconds < 1 ? 3 : 1);
}

/** Round trips in seconds, as the API has them; null where there was no answer. */
function summaryOf(pongs: readonly Pong[]) {
  const trips = pongs.flatMap(({ rtt }) => (rtt === null ? [] : [rtt / 1000]));
  const mean = trips.reduce((sum, each) => sum + each, 0) / trips.length;
  const figures = trips.length === 0 ? [null, null, null] : [Math.min(...trips), mean, Math.max(...trips)];
  const [least, average, most] = figures.map((each) => each && Math.round(each * 1e6) / 1e6);
  return { asked: pongs.length, answered: trips.length, least, average, most };
}

function summaryText(pongs: readonly Pong[]): string {
  const { asked, answered, least, average, most } = summaryOf(pongs);
  const trips = [least, average, most].map((seconds) => inWords((seconds ?? 0) * 1000)).join('/');
  const figures = answered === 0 ? '' : `; least/average/most ${trips} ms`;
  return `${asked} asked, ${answered} answered${figures}\n`;
}
