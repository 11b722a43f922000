/**
 * An engine in a process of its own, for tests across namespaces. Started as a program by `RemoteEngine`, this file
 * is the far side: it opens the engine and speaks with its parent over Node's IPC channel.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { openNodeDatachannel } from '../dataplane/io/engine/node-datachannel.ts';
import { openWerift } from '../dataplane/io/engine/werift.ts';
import type {
  CandidatePair,
  ChannelName,
  Connection,
  ConnectionEvents,
  ConnectionOptions,
  Engine,
} from '../dataplane/io/webrtc.ts';

type EngineName = 'node-datachannel' | 'werift';
type Method = 'offer' | 'answer' | 'accept';

interface Call {
  readonly id: number;
  readonly call: 'connect' | 'candidate' | 'send' | 'close' | Method;
  readonly options?: ConnectionOptions;
  readonly channel?: ChannelName;
  readonly text?: string;
}

interface Report {
  readonly id: number;
  readonly event: keyof ConnectionEvents | 'done' | 'failed' | 'ready';
  readonly channel?: ChannelName;
  readonly text?: string;
  readonly pair?: CandidatePair | undefined;
}

/** `send` always accepts and `buffered` is always 0; `pair` is as of the last event. */
export class RemoteEngine implements Engine {
  readonly name = 'remote';
  readonly udpPort = 0;
  readonly #process: ChildProcess;
  readonly #reports = new Map<number, (report: Report) => void>();

  get pid(): number {
    return this.#process.pid!;
  }

  /** `command` runs in front of node, for instance `ip netns exec …`. */
  static async open(
    command: readonly string[],
    name: EngineName = 'node-datachannel',
  ): Promise<RemoteEngine> {
    const engine = new RemoteEngine(command, name);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    engine.#reports.set(0, () => resolve());
    engine.#process.once('exit', (code) => reject(new Error(`the remote engine ended with ${code}`)));
    await promise;
    return engine;
  }

  constructor(command: readonly string[], name: EngineName) {
    const [file, ...args] = [...command, process.execPath, fileURLToPath(import.meta.url), name];
    this.#process = spawn(file!, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#process.on('exit', (code, signal) => {
      for (const report of this.#reports.values())
        report({ id: 0, event: 'failed', text: `ended: ${code ?? signal}` });
    });
    this.#process.on('message', (report: Report) => this.#reports.get(report.id)?.(report));
  }

  connect(options: ConnectionOptions, events: ConnectionEvents): Connection {
    const id = this.#reports.size;
    const tell = (call: Omit<Call, 'id'>) => {
      if (this.#process.connected) this.#process.send({ id, ...call });
    };
    let pending: PromiseWithResolvers<string> | undefined;
    let pair: CandidatePair | undefined;
    const ask = (call: Method, text?: string) => {
      pending = Promise.withResolvers();
      tell({ call, ...(text === undefined ? {} : { text }) });
      return pending.promise;
    };
    this.#reports.set(id, (report) => {
      pair = report.pair ?? pair;
      const { event, channel, text } = report;
      if (event === 'done') pending?.resolve(text!);
      else if (event === 'failed') pending?.reject(new Error(text));
      else if (event === 'message') events.message(channel!, Buffer.from(text!, 'base64'));
      else if (event === 'open') events.open(channel!);
      else if (event === 'drain' || event === 'paired') events[event]();
      else if (event !== 'ready') events[event](text as never);
    });
    tell({ call: 'connect', options });
    return {
      offer: () => ask('offer'),
      answer: (offer) => ask('answer', offer),
      accept: async (answer) => void (await ask('accept', answer)),
      addCandidate: (text) => tell({ call: 'candidate', text }),
      send: (channel, bytes) => {
        tell({ call: 'send', channel, text: Buffer.from(bytes).toString('base64') });
        return true;
      },
      buffered: () => 0,
      pair: () => pair,
      close: () => tell({ call: 'close' }),
    };
  }

  async reflexive(): Promise<readonly string[]> {
    return [];
  }

  sweep(): void {}

  close(): void {
    this.#process.kill('SIGKILL');
  }
}

async function serve(name: string | undefined): Promise<void> {
  const engine = await (name === 'werift' ? openWerift() : openNodeDatachannel({ udpPort: 0, fixed: false }));
  const connections = new Map<number, Connection>();
  const tell = (report: Report) => process.connected && process.send!(report);
  process.on('disconnect', () => process.exit(0));
  process.on('message', ({ id, call, options, channel, text }: Call) => {
    if (call === 'connect') connections.set(id, engine.connect(options!, reporting(id)));
    const connection = connections.get(id)!;
    if (call === 'candidate') connection.addCandidate(text!);
    if (call === 'send') connection.send(channel!, Buffer.from(text!, 'base64'));
    if (call === 'close') connection.close();
    if (call !== 'offer' && call !== 'answer' && call !== 'accept') return;
    connection[call](text!).then(
      (sdp) => tell({ id, event: 'done', text: sdp ?? '' }),
      (error: Error) => tell({ id, event: 'failed', text: error.message }),
    );
  });
  tell({ id: 0, event: 'ready' });

  function reporting(id: number): ConnectionEvents {
    return {
      candidate: (text) => tell({ id, event: 'candidate', text }),
      state: (text) => tell({ id, event: 'state', text, pair: connections.get(id)?.pair() }),
      open: (channel) => tell({ id, event: 'open', channel, pair: connections.get(id)?.pair() }),
      message: (channel, bytes) => {
        const text = Buffer.from(bytes).toString('base64');
        tell({ id, event: 'message', channel, text, pair: connections.get(id)?.pair() });
      },
      paired: () => tell({ id, event: 'paired', pair: connections.get(id)?.pair() }),
      drain: () => tell({ id, event: 'drain' }),
      unserved: (text) => tell({ id, event: 'unserved', text }),
      misused: (text) => tell({ id, event: 'misused', text }),
    };
  }
}

if (import.meta.main) await serve(process.argv[2]);
