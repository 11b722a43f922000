/** The events of a node as its control socket streams them: server-sent events, and what becomes of a stream that ends. */
import { type IncomingMessage, request } from 'node:http';
import * as z from 'zod/mini';
import { methodAndPath } from '../protocol/api.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { NodeEvent } from '../protocol/events.ts';
import { check } from '../protocol/schema.ts';
import { Hanging, replyTimeout, textOf, unanswered, wrongStatus } from './control-client.ts';

/** Milliseconds of silence after which the node counts as hung: it says something every 15 s. */
const silenceLimit = 45_000;
/** Characters of the longest line. */
const maxLine = 1_048_576;

/** What a later version tells is passed on as it is. */
const anyEvent = z.looseObject({ time: z.string(), event: z.string() });

export interface Message {
  /** Names the event that was told last, also where this message tells none. */
  readonly id: string | undefined;
  readonly event: NodeEvent | undefined;
}

/** Each message of the stream until it ends. `after`: the ID of an event; undefined for what comes from now on. Throws like
 *  `call` where there is no stream, and `no_control` where it breaks off. */
export async function* follow(socketPath: string, after: string | undefined): AsyncGenerator<Message> {
  const response = await open(socketPath, after);
  if (response.statusCode !== 200) {
    throw wrongStatus(socketPath, response.statusCode ?? 0, await textOf(response));
  }
  response.setTimeout(silenceLimit, () => response.destroy(new Hanging()));
  let rest = '';
  let fields: Record<string, string> = {};
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop()!;
      if (rest.length > maxLine)
        throw new CryonetError('bad_message', `${socketPath} does not stream events`);
      for (const line of lines) {
        const field = /^(\w+): ?(.*)$/.exec(line);
        if (field !== null) fields[field[1]!] = field[2]!;
        if (line !== '') continue;
        yield { id: fields.id, event: fields.data === undefined ? undefined : eventOf(fields.data) };
        fields = {};
      }
    }
  } catch (cause) {
    if (cause instanceof CryonetError) throw cause;
    throw unanswered(socketPath, cause as Error, silenceLimit);
  } finally {
    response.destroy();
  }
}

function eventOf(data: string): NodeEvent {
  return check(anyEvent, JSON.parse(data)) as NodeEvent;
}

function open(socketPath: string, after: string | undefined): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const asked = request({
    ...{ socketPath, host: 'cryonet', ...methodAndPath('GET /v1/events') },
    headers: after === undefined ? {} : { 'Last-Event-ID': after },
    timeout: replyTimeout,
  });
  asked.on('timeout', () => asked.destroy(new Hanging()));
  asked.on('response', (response) => {
    asked.setTimeout(0);
    resolve(response);
  });
  asked.on('error', (cause) => reject(unanswered(socketPath, cause, replyTimeout)));
  asked.end();
  return promise;
}
