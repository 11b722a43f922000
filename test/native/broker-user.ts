/** Runs as control beside a broker, and prints what came of what it asked for: for `launch.test.ts`. Its arguments are the
 *  command of a dataplane. */
import { Server, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { loadServiceAddon } from '../../service/native.ts';
import { mulberry32 } from '../mulberry.ts';

const seed = 14;
const inputs = 2000;

// Before the module takes the variable out.
const channel = Number(process.env.CRYONET_BROKER!.split(':')[1]);
const { broker } = await import('../../control/io/broker.ts');

const raw = (request: string | Buffer) => loadServiceAddon().askBroker(channel, Buffer.from(request));

function outcome(attempt: () => unknown): string {
  try {
    attempt();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code!;
  }
}

/** Requests that are almost right: some of their bytes are others. A few are right still. */
function* nonsense(): Generator<Buffer> {
  const random = mulberry32(seed);
  const right = ['plan\x004\x005\x002\0a\0b\0C=d\0', 'socket\x006\0', 'listen\0::1\0', 'stop\0'];
  for (let i = 0; i < inputs; i++) {
    const request = Buffer.from(right[random() % right.length]!);
    for (let changes = (random() % 4) + 1; changes > 0; changes--)
      request[random() % request.length] = random() % 256;
    yield request.subarray(0, (random() % request.length) + 1);
  }
}

const plan = { command: process.argv.slice(2), environment: { ONLY: 'this' }, mark: 7, port: 0 };
const many = Array.from({ length: 2000 }, () => 'x');
const early = ['start\0', 'socket\x004\0', 'listen\x00127.0.0.1\0'].map((request) =>
  outcome(() => raw(request)),
);
const badPlans = [
  'plan\0',
  'plan\x000\x000\0-1\0',
  'plan\x000\x000\x002\0/bin/true\0',
  `plan\0${many.join('\0')}\0`,
];
const malformed = badPlans.map((request) => outcome(() => raw(request)));
const planned = outcome(() => broker!.plan(plan));
const again = outcome(() => broker!.plan({ ...plan, command: ['/bin/true'] }));
const unknown = ['stop\0', 'start', 'start\0now\0', 'socket\0', 'listen\0localhost\0'].map((request) =>
  outcome(() => raw(request)),
);
const tooLong = outcome(() => raw(Buffer.alloc(100_000, 'x')));
const disturbed = [...nonsense()]
  .map((request) => outcome(() => raw(request)))
  .filter((each) => each === 'done');
const { words } = broker!.startDataplane();
const said = await text(new Socket({ fd: words }));
const server = new Server();
const bound = outcome(() => server.listen({ fd: broker!.boundSocket('127.0.0.1') }));
const marked = outcome(() => new Socket({ fd: broker!.markedSocket(4) }).destroy());
const at = server.address();
server.close();
console.log(
  JSON.stringify({
    ...{ early, malformed, planned, again, unknown, tooLong },
    ...{ disturbed: [...disturbed], said, bound, at, marked },
  }),
);
