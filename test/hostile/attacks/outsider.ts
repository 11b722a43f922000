/** By who reaches a port, and has no token. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { subprotocol } from '../../../protocol/handshake.ts';
import { encode } from '../../../protocol/msgpack.ts';
import { waitFor } from '../../native/wait.ts';
import { upgradeRequest } from '../../upgrade-request.ts';
import { Member } from '../member.ts';
import { type Attack, type Site, urlOf } from './attack.ts';

const idle = 400;

/** Milliseconds, and guesses under way at a time. */
const guessing = 3000;
const guessesAtOnce = 100;

/** Milliseconds in which an honest node is in, whatever others do. */
const joinLimit = 2000;

/** What connections begin with that never prove anything: nothing; half a request; a whole one, after which the server
 *  waits for the handshake; and the beginning of a long message after it (RFC 6455, section 5.2). */
const beginnings: readonly (string | Uint8Array)[] = [
  '',
  'GET / HTTP/1.1\r\nX: ',
  upgradeRequest(subprotocol),
  Buffer.concat([
    Buffer.from(upgradeRequest(subprotocol)),
    Buffer.from('82ff000000000004000000000000', 'hex'),
    new Uint8Array(250_000),
  ]),
];

/** A connection that begins so. Of half a request a byte more comes now and then. */
async function idleConnection({ victim, own }: Site, beginning: string | Uint8Array): Promise<Socket> {
  const socket = connect({ host: victim.host, port: victim.port, localAddress: own[0] });
  socket.on('error', () => {}).resume();
  await once(socket, 'connect');
  socket.write(beginning);
  if (beginning !== beginnings[1]) return socket;
  const timer = setInterval(() => socket.write('x'), 500);
  socket.once('close', () => clearInterval(timer));
  return socket;
}

/** Milliseconds until a member is in. */
async function joins(site: Site, id: string, localAddress: string): Promise<number> {
  const member = new Member(id, site.token);
  const start = performance.now();
  const way = await member.join(urlOf(site), { localAddress });
  const took = performance.now() - start;
  way.close();
  return took;
}

export const outsiders: readonly Attack[] = [
  {
    what: 'tokens that are guessed',
    counter: ['refused', 'wrong_token'],
    async run(site) {
      let [begun, refused] = [0, 0];
      const end = performance.now() + guessing;
      const guess = async () => {
        while (performance.now() < end) {
          // What a guess is stretched to costs who guesses, and not the node.
          const member = new Member('guesser', new Uint8Array(32).fill(begun++));
          await member.join(urlOf(site), { localAddress: site.own[0] }).catch((cause) => {
            if (cause.code === 'wrong_token') refused++;
          });
        }
      };
      await Promise.all(Array.from({ length: guessesAtOnce }, guess));
      return `${Math.round((refused * 1000) / guessing)} guesses a second`;
    },
  },
  {
    what: 'connections that prove nothing',
    counter: ['refused', 'connections'],
    async run(site, after) {
      for (let i = 0; i < idle; i++) {
        const socket = await idleConnection(site, beginnings[i % beginnings.length]!);
        after(() => socket.destroy());
      }
      const [other, same] = [
        await joins(site, 'honest', site.own[1]),
        await joins(site, 'alike', site.own[0]),
      ];
      const took = [other, same].map(Math.round);
      if (Math.max(...took) > joinLimit) throw new Error(`honest joins took ${took} ms`);
      return `${idle} of them: an honest node is in after ${took[0]} ms, one of the same address after ${took[1]} ms`;
    },
  },
  {
    what: 'a server that refuses without a proof',
    counter: ['refused', 'unproven'],
    async run({ own: [host], fakePort: port }, after) {
      let refused = 0;
      const server = new WebSocketServer({ host, port, handleProtocols: () => subprotocol });
      const codes = ['id_in_use', 'identity_mismatch', 'key_in_use', 'denied', 'version_mismatch'];
      server.on('connection', (socket) => {
        socket.on('error', () => {});
        socket.once('message', () => {
          socket.send(encode({ type: 'refuse', code: codes[refused++ % codes.length] }));
        });
      });
      after(() => {
        server.close();
        for (const client of server.clients) client.terminate();
      });
      await waitFor('a node to have come for each', () => refused >= codes.length, 30_000);
    },
  },
];
