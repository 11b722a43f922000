/**
 * Opens one device and reports on standard output: `open NAME`, or the error's code and message; then does what the
 * first argument says; `try` only asks whether it could be opened. `node open-tun.ts exit|throw|stay|close|worker|try`
 *
 * TUN_DEVICE: the node it is made by.
 */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { nativeTunsBy } from '../../dataplane/io/native-tun.ts';

const mode = process.argv[2];
const tuns = nativeTunsBy(process.env.TUN_DEVICE ?? '/dev/net/tun');

function open(): void {
  const options = { name: '', alias: 'fixture', mtu: 1400, packetInformation: false, linkLocal: 'fe80::f1' };
  try {
    if (mode === 'try') {
      tuns.try();
      console.log('open');
      return;
    }
    const tun = tuns.open(options, () => {});
    tun.setCarrier(true);
    console.log(`open ${tun.name}`);
    if (mode === 'close') tun.close();
  } catch (error) {
    console.log(`${(error as NodeJS.ErrnoException).code} ${(error as Error).message}`);
  }
}

if (mode === 'worker' && isMainThread) {
  open();
  const worker = new Worker(import.meta.filename, { argv: ['worker'] });
  worker.once('message', async () => {
    await worker.terminate();
    process.exit(0);
  });
} else {
  open();
  parentPort?.postMessage('open');
  if (mode === 'exit') process.exit(0);
  if (mode === 'throw') throw new Error('on purpose');
}
