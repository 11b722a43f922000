/** One look, printed: of every peer, as JSON too. */
import { setTimeout as pause } from 'node:timers/promises';
import { call } from '../control-client.ts';
import { printableJson } from '../printable.ts';
import { wholeFrame } from './frame.ts';
import { type Model, nextLook, opened, rowsOf, step } from './model.ts';
import { troubleOf } from './order.ts';

/** Columns where output is no terminal. */
const usualColumns = 80;

interface Options {
  /** Milliseconds between two reports. */
  readonly interval: number;
  readonly color: boolean;
  /** Columns; infinite where output is no terminal. */
  readonly width: number;
  readonly json: boolean;
}

/** Ends with a newline. Throws what `call` throws. */
export async function look(socketPath: string, options: Options): Promise<string> {
  const { interval, color, width, json } = options;
  const model = await lookTwice(socketPath, interval);
  if (json) return printableJson(asJson(model));
  const columns = Number.isFinite(width) ? width : usualColumns;
  const rows = wholeFrame({ ...model, size: { columns, rows: columns } }, color);
  return rows.map((row) => `${row}\n`).join('');
}

/** Round trips in seconds, and bytes in a second. */
function asJson(model: Model) {
  return {
    node: model.last!.report.node.id,
    peers: rowsOf(model).map((peer) => {
      const { id, state, reason, path, relayed, rtt, loss = null } = peer;
      const { rx = null, tx = null } = model.tracks.get(id) ?? {};
      const rates = { rx: rounded(rx), tx: rounded(tx) };
      const seconds = rtt === null ? null : Math.round(rtt * 1000) / 1e6;
      return {
        peer: id,
        trouble: troubleOf(peer),
        state,
        reason,
        path,
        relayed,
        rtt: seconds,
        loss,
        ...rates,
      };
    }),
  };
}

function rounded(rate: number | null): number | null {
  return rate === null ? null : Math.round(rate);
}

/** What two reports tell, since rates need two. Throws what `call` throws. */
async function lookTwice(socketPath: string, interval: number): Promise<Model> {
  let model = opened({ columns: 0, rows: 0 }, interval);
  for (const isLast of [false, true]) {
    const report = await call(socketPath, 'GET /v1/status');
    model = step(model, { type: 'report', report, at: performance.now(), time: Date.now() });
    if (!isLast) await pause(nextLook(model.now, interval) - performance.now());
  }
  return model;
}
