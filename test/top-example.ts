/** What `cryoc top` has seen of README's example. */
import { type Model, opened, type Size, step } from '../cli/top/model.ts';
import type { PeerStatus, StatusReport } from '../protocol/status.ts';
import { exampleReport, exampleTime } from './status-example.ts';

const [lima, osaka, riga] = exampleReport.peers as [PeerStatus, PeerStatus, PeerStatus];
const interval = 1000;

/** Round trips of a path with a queue that fills and empties. */
const queue = [231, 232, 231, 240, 270, 310, 360, 420, 330, 270, 240, 232];

function reportAt(turn: number): StatusReport {
  const { counters } = osaka;
  const rxBytes = counters!.rxBytes + turn * 3_241_000;
  const txBytes = counters!.txBytes + turn * 212_000;
  const busy = { ...osaka, rtt: queue[turn % queue.length]!, counters: { ...counters!, rxBytes, txBytes } };
  const quito: PeerStatus = {
    ...{ ...osaka, id: 'quito', rtt: 96.2, minRtt: 95, loss: 0.14, degraded: true },
    interface: { ...osaka.interface!, name: 'cnquito' },
    counters: { ...counters!, rxBytes: 9_000_000 + turn * 51_300, txBytes: 400_000 + turn * 1200 },
  };
  return { ...exampleReport, peers: [lima, busy, quito, riga], neighbors: exampleReport.neighbors };
}

/** After `turns` reports, a second apart. */
export function exampleModel(size: Size, turns = 60): Model {
  let model = opened(size, interval);
  for (let turn = 0; turn < turns; turn++) {
    const report = reportAt(turn);
    model = step(model, { type: 'report', report, at: turn * interval, time: exampleTime });
  }
  return model;
}
