import { openWerift } from '../dataplane/io/engine/werift.ts';
import { conformance } from './webrtc-conformance.ts';

conformance('werift with werift', async () => ({
  offerer: await openWerift(),
  answerer: await openWerift(),
}));
