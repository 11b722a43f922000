/** Which of the node's STUN and TURN servers work. */
import { type IceServerCheck, staleForEver } from './ice-server-check.ts';
import { turnExpiry } from './turn-credentials.ts';
import type { IceServer } from './webrtc.ts';

/** Milliseconds from a check to the next one; twice as long after each that finds what the one before found. */
const firstPause = 5_000;
const longestPause = 60_000;
/** Milliseconds from a check to the next one of a server that works, while a connection has asked it. */
const lookPause = 300_000;

/** Milliseconds after the end of a credential, for the server's clock. */
const grace = 1000;
/** What setTimeout takes. */
const longestTimer = 2 ** 31 - 1;

/** Characters of a name (RFC 1035 2.3.4 has 255), so that a subject is one of a warning's. */
const maxHost = 240;

export interface WatchOptions {
  readonly check: IceServerCheck;
  /** `trouble` of the servers of this subject, `turn:host:port`; undefined: they work. */
  readonly told: (subject: string, trouble: string | undefined) => void;
  /** Connections that have asked this server go on asking it, in vain, as fast as it answers. */
  readonly endless: (server: IceServer) => void;
  readonly now?: () => number;
  /** Milliseconds of the clock that credentials end by. */
  readonly clock?: () => number;
}

interface Watched {
  readonly server: IceServer;
  readonly end: AbortController;
  checkedAt: number;
  /** Until it may be checked again. */
  pause: number;
  checking: boolean;
  trouble: string | undefined;
  timer: NodeJS.Timeout | undefined;
  /** Until the credential ends. */
  expiry: NodeJS.Timeout | undefined;
}

/**
 * Checks each server when it is first used, when a connection got no candidate from one, when its credential has ended,
 * now and then while a connection has asked it, and while it does not work, however many connections there are: a server
 * that comes back is soon found, and one that stays as it is is asked once a minute.
 */
export class IceServerWatch {
  readonly #options: WatchOptions;
  readonly #now: () => number;
  readonly #clock: () => number;
  readonly #watched = new Map<string, Watched>();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#clock = options.clock ?? Date.now;
  }

  /** These are the node's servers now. Returns those that are not known to be of no use; of STUN servers all where none
   *  works, for asking one costs a connection nothing. */
  use(servers: readonly IceServer[]): IceServer[] {
    const keys = new Set(servers.map(keyOf));
    for (const key of [...this.#watched.keys()]) if (!keys.has(key)) this.#drop(key);
    for (const server of servers) {
      const key = keyOf(server);
      if (this.#watched.has(key)) continue;
      const watched: Watched = {
        server,
        end: new AbortController(),
        checkedAt: 0,
        pause: firstPause,
        checking: false,
        trouble: undefined,
        timer: undefined,
        expiry: undefined,
      };
      this.#watched.set(key, watched);
      this.#check(watched);
      this.#awaitExpiry(watched);
    }
    const works = (server: IceServer) => this.#watched.get(keyOf(server))!.trouble === undefined;
    const isLost = !servers.some((server) => server.kind === 'stun' && works(server));
    return servers.filter((server) => works(server) || (isLost && server.kind === 'stun'));
  }

  /** A connection got no candidate from any server of this kind. */
  suspect(kind: IceServer['kind']): void {
    for (const watched of this.#watched.values()) {
      if (watched.server.kind === kind) this.#checkLater(watched);
    }
  }

  /** There are connections that have asked these. */
  look(servers: readonly IceServer[]): void {
    for (const key of new Set(servers.map(keyOf))) {
      const watched = this.#watched.get(key);
      if (watched !== undefined && this.#now() - watched.checkedAt >= lookPause) this.#checkLater(watched);
    }
  }

  /** Idempotent. */
  close(): void {
    this.use([]);
  }

  #checkLater(watched: Watched): void {
    if (watched.checking || watched.timer !== undefined) return;
    const wait = watched.checkedAt + watched.pause - this.#now();
    if (wait <= 0) this.#check(watched);
    else watched.timer = setTimeout(() => this.#check(watched), wait);
  }

  /** Who has links by then would learn of it only with the next one. */
  #awaitExpiry(watched: Watched): void {
    const until = watched.server.kind === 'turn' ? turnExpiry(watched.server) : undefined;
    if (until === undefined || until < this.#clock()) return;
    const wait = until + grace - this.#clock();
    watched.expiry = setTimeout(
      () => {
        if (wait > longestTimer) this.#awaitExpiry(watched);
        else this.#checkLater(watched);
      },
      Math.min(wait, longestTimer),
    );
  }

  #check(watched: Watched): void {
    const { server, end } = watched;
    watched.timer = undefined;
    watched.checking = true;
    watched.checkedAt = this.#now();
    this.#options.check(server, end.signal).then((trouble) => {
      watched.checking = false;
      if (end.signal.aborted) return;
      const isSame = (trouble === undefined) === (watched.trouble === undefined);
      watched.pause = isSame ? Math.min(longestPause, watched.pause * 2) : firstPause;
      watched.trouble = trouble;
      this.#tell(server);
      if (trouble === staleForEver) this.#options.endless(server);
      if (trouble !== undefined) this.#checkLater(watched);
    });
  }

  #drop(key: string): void {
    const { server, end, timer, expiry } = this.#watched.get(key)!;
    this.#watched.delete(key);
    clearTimeout(timer);
    clearTimeout(expiry);
    end.abort();
    this.#tell(server);
  }

  /** A server may be there twice, for two users. */
  #tell(server: IceServer): void {
    const subject = subjectOf(server);
    const troubles = [...this.#watched.values()]
      .filter((each) => subjectOf(each.server) === subject)
      .map(({ trouble }) => trouble);
    this.#options.told(
      subject,
      troubles.find((trouble) => trouble !== undefined),
    );
  }
}

/** As `--ice-servers` has it, without credentials. */
function subjectOf({ kind, host, port }: IceServer): string {
  return `${kind}:${host.includes(':') ? `[${host}]` : host.slice(0, maxHost)}:${port}`;
}

function keyOf(server: IceServer): string {
  return JSON.stringify(server);
}
