/** `cryoc metrics`: what Prometheus watches, as text. */
import type { Command } from '../command.ts';

export const metrics: Command<'GET /v1/metrics'> = {
  name: 'metrics',
  arguments: {},
  options: [
    {
      flags: '--output <FILE>',
      help: 'write them there, whole or not at all, as node_exporter’s textfile collector wants it',
    },
  ],
  help: 'metrics of the node and its links, in the format of Prometheus',
  route: 'GET /v1/metrics',
  show(text, { options: { output } }) {
    return {
      json: { metrics: text },
      text: () => text,
      file: output === undefined ? undefined : String(output),
    };
  },
};
