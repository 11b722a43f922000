/** `cryoc explain`: why the link with a peer is as it is, by what both ends see of it. */
import type { OwnCommand } from '../command.ts';
import { detailsOf, reasonsFor } from '../explanation.ts';
import { labelled } from '../render-status.ts';

/** Milliseconds: the peer is waited for three seconds. */
const timeout = 6000;

export const explain: OwnCommand = {
  name: 'explain',
  arguments: { '<PEER>': 'ID of a peer' },
  options: [],
  help: 'why the link with a peer takes the path that it takes, or is down, by what both ends see of it',
  async run({ args: [id] }, ask) {
    // Says within two seconds where nobody answers at all.
    const { dataplane } = await ask('GET /v1/status');
    const found = await ask('POST /v1/peers/{id}/explain', { id: id! }, timeout);
    const status = await ask('GET /v1/peers/{id}', { id: id! });
    const reasons = reasonsFor(found, status, dataplane.udpPort);
    const facts: [name: string, text: string][] = [
      ...reasons.map((reason, i): [string, string] => [i === 0 ? id! : '', reason]),
      ...detailsOf(found),
    ];
    return {
      json: { ...found, reasons },
      text: ({ width }) => `${facts.flatMap(([name, words]) => labelled(name, words, width)).join('\n')}\n`,
    };
  },
};
