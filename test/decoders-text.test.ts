/** Decoders of texts: session descriptions and all that people write; and of datagrams that are no message of ours. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isLoopback, parseHostPort } from '../control/config/address.ts';
import { readConfig } from '../control/config/config.ts';
import { parseIceServer, unservedIceServer } from '../control/config/ice-server.ts';
import { controlProgram } from '../control/config/program.ts';
import { contentOf } from '../control/config/sources.ts';
import {
  fingerprintOf,
  parseCandidate,
  remoteCandidate,
  remoteDescription,
  withoutCandidates,
} from '../dataplane/io/engine/sdp.ts';
import { readStunResponse, transactionBytes } from '../dataplane/io/stun.ts';
import { scanCommandLine } from '../protocol/command-line.ts';
import { parseDuration } from '../protocol/duration.ts';
import { matches } from '../protocol/glob.ts';
import { check } from '../protocol/schema.ts';
import { statusReport } from '../protocol/status.ts';
import { candidates, sdp } from './descriptions.ts';
import { type Decoder, isLookedAt, refusedInWords, testDecoders, text, written } from './hostile/decoding.ts';
import { Mutations } from './hostile/mutations.ts';
import { temporaryFolder } from './socket-pair.ts';
import { exampleReport } from './status-example.ts';

/** Of what takes a hundred times as long: a node's whole configuration, which is the operator's own. */
const fewInputs = 5_000;

const commandLines = [
  'a --token t --listen [::1]:2333 --mtu auto',
  'b --ws-servers ws://h:1 --allow x* --send-alive-interval 5s',
];
const configFiles = [
  'id = "a"\ntoken = "t"\nmtu = 1400\nallow = ["x", "y*"]\n',
  'token = """t"""\nlisten = "h:1"\n',
  'mtu = 1400\n[peer.rome]\ndeny = true\n[peer."e*-?"]\npath = "relay"\ncost = 7\n',
  'peer = { rome = { allow = false } }\n',
];
const program = controlProgram();

const decoders: Readonly<Record<string, Decoder>> = {
  'session descriptions': text((input) => {
    const safe = remoteDescription(input);
    if (!isLookedAt()) return safe;
    assert.equal(remoteDescription(safe), safe);
    assert.equal(withoutCandidates(safe), safe);
    assert.match(fingerprintOf(safe), /^(AB|[0-9A-F]{2}:)/);
    return safe;
  }, sdp),
  candidates: text(
    (input) => {
      const rebuilt = remoteCandidate(input);
      if (rebuilt !== undefined) assert.equal(remoteCandidate(rebuilt), rebuilt);
      return parseCandidate(input);
    },
    ...candidates,
  ),
  'answers of STUN servers': {
    seeds: [
      Buffer.concat([
        Buffer.from('010100142112a442', 'hex'),
        new Uint8Array(transactionBytes),
        Buffer.from('002000080001a147e112a64300080004aabbccdd', 'hex'),
      ]),
    ],
    take: (input) => readStunResponse(Buffer.from(input), new Uint8Array(transactionBytes)),
  },
  'addresses, servers and times': text(
    (input) => {
      const address = parseHostPort(input, 2333);
      if (address !== undefined) isLoopback(address.host);
      unservedIceServer(input);
      matches(input, 'eth0');
      return address ?? parseIceServer(input) ?? parseDuration(input);
    },
    ...['[::1]:2333', '192.0.2.1:80', 'turn:h:3478|user|secret', 'stun:h', '1h30m'],
  ),
  'the status report': text(
    (input) => {
      try {
        return check(statusReport, JSON.parse(input));
      } catch (error) {
        if (error instanceof SyntaxError) return undefined;
        throw error;
      }
    },
    ...[[], exampleReport.peers.slice(0, 1)].map((peers) => JSON.stringify({ ...exampleReport, peers })),
  ),
  'words of a command line': text(
    (input) => scanCommandLine(input.split(' '), program, '--token').missing === undefined || undefined,
    ...commandLines,
  ),
  'configuration files': text((input) => contentOf(input, 'config.toml'), ...configFiles),
};

testDecoders(decoders);

test(`${fewInputs} command lines, and as many files, are taken or refused in words`, (context) => {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, 'run'));
  const path = join(folder, 'config.toml');
  const read = (argv: readonly string[], env: Record<string, string>) =>
    readConfig(argv, { HOME: folder, RUNTIME_DIRECTORY: join(folder, 'run'), ...env }, 1);
  for (const [seeds, take] of [
    [
      commandLines,
      (input: Uint8Array) => read(Buffer.from(input).toString('latin1').split(' '), { TOKEN: 't' }),
    ],
    [
      configFiles,
      (input: Uint8Array) => {
        writeFileSync(path, input);
        return read(['a'], { CONFIG: path });
      },
    ],
  ] as const) {
    const mutations = new Mutations(written(...seeds), 512);
    let taken = 0;
    for (let i = 0; i < fewInputs; i++) {
      const input = mutations.next();
      if (refusedInWords(take, input)) continue;
      taken++;
      mutations.accepted(input);
    }
    assert.ok(taken > 0 && taken < fewInputs, `${taken}`);
  }
});
