/** Stories that boot machines or look at packages: `story`, and what these need. */
import type { Lab } from '../../netns-tests/lab/lab.ts';
import type { Need } from '../../netns-tests/lab/needs.ts';
import { story } from '../../netns-tests/lab/story.ts';

/** To build the packages and to make the root trees. */
const always = ['unshare', 'mmdebstrap', 'dpkg-deb', 'rpmbuild', 'strip', 'aarch64-linux-gnu-gcc'] as const;
const toBoot = ['systemd-nspawn', 'nsenter', 'ping'] as const;

/** What `run.ts` needs to prepare anything. */
export const everything: readonly Need[] = [...always, ...toBoot];

export function machineStory(name: string, needs: readonly Need[], tell: (lab: Lab) => Promise<void>): void {
  story(name, [...everything, ...needs], tell);
}

export function packageStory(name: string, needs: readonly Need[], tell: (lab: Lab) => Promise<void>): void {
  story(name, [...always, ...needs], tell);
}
