/**
 * A program for the engine's tests: two node-datachannel engines in one process, connected with each other. It tells
 * which packages it loaded, then ends as its argument says: `close` closes both engines and lets the process end,
 * `exit` exits at once under load, `throw` throws in an event, and a handler of uncaught exceptions exits with 3.
 */

import { registerHooks } from 'node:module';

const loaded = new Set<string>();
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const name = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(found.url)?.[1];
    if (name !== undefined) loaded.add(name);
    return found;
  },
});

const { openNodeDatachannel } = await import('../dataplane/io/engine/node-datachannel.ts');
const { connected } = await import('./webrtc-end.ts');

const anyPort = { udpPort: 0, fixed: false };
const engines = { offerer: await openNodeDatachannel(anyPort), answerer: await openNodeDatachannel(anyPort) };
const { offerer, answerer } = await connected(engines);
for (let i = 0; i < 500; i += 1) offerer.connection.send('data', new Uint8Array(1200));
await answerer.until('a message', () => answerer.messages.data.length > 0);
process.stdout.write(`${JSON.stringify({ loaded: [...loaded], pair: offerer.connection.pair() })}\n`);

switch (process.argv[2]) {
  case 'close':
    engines.offerer.close();
    engines.answerer.close();
    break;
  case 'exit':
    process.exit(0);
    break;
  case 'throw':
    process.on('uncaughtException', (error) => process.exit(error.message === 'mine' ? 3 : 1));
    answerer.onMessage = () => {
      throw new Error('mine');
    };
    offerer.connection.send('wire', new Uint8Array(1));
}
