/**
 * The one error class and its closed table of codes, which replies on every socket carry. `ARCHITECTURE.md` repeats the
 * table, and a test compares the two.
 */

/** Each code with its meaning, in words that an operator can act on. */
export const errorCodes = {
  bad_config: 'an option, variable or file has a value that cannot be used',
  unavailable: 'something of this machine is not there yet, full or read-only: tried again',
  addon_missing: 'the native addon is not there: run `npm run build` (needs a C compiler)',
  tun_missing:
    'the TUN device is not there: load the module with `modprobe tun`, or give the container /dev/net/tun',
  tun_no_driver: 'the kernel has no TUN driver: load it with `modprobe tun`',
  tun_file_denied:
    'this user may not open the TUN device: give it to a group of the user (chgrp, chmod 0660), or run as root',
  tun_cgroup_denied:
    'the control group may not open the TUN device: allow character device 10:200 (DeviceAllow=, --device /dev/net/tun)',
  tun_denied: 'no permission to make network interfaces here: needs root or CAP_NET_ADMIN',
  tun_exists: 'an interface of that name exists and is not ours',
  tun_failed: 'the kernel refused the TUN device',
  direct_refused: 'the kernel refused what direct paths need',
  port_in_use: 'another program has that port',
  socket_in_use: 'another cryonet serves that socket',
  state_in_use: 'another cryonet uses that state directory',
  no_dataplane: 'the dataplane does not answer',
  no_control: 'control does not answer',
  no_token: 'the node waits for its token',
  bad_frame: 'bytes that are no frame of this protocol',
  frame_too_large: 'a frame longer than the limit',
  bad_message: 'a message that does not have its schema’s shape',
  unknown_method: 'no such method',
  unknown_link: 'no such link or negotiation',
  unknown_peer: 'no such peer',
  version_mismatch: 'the other side speaks another version of this protocol',
  connection_closed: 'the connection closed before the reply',
  bad_sdp: 'the WebRTC engine refused the session description',
  wrong_token: 'the other side does not have the same token',
  id_in_use: 'another running node has this ID',
  identity_mismatch: 'this ID belongs to another identity key',
  already_connected: 'that node is connected already',
  key_in_use: 'another node has this identity key',
  self_connection: 'that is this node itself',
  denied: 'refused by peer policy',
  unknown_invitation: 'no such invitation, or it was revoked',
  invitation_expired: 'the invitation has expired',
  invitation_used: 'the invitation has been used',
  invitation_other: 'another ID was invited',
  internal: 'a defect in cryonet',
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** Exit codes of the three programs: 0 is success, 1 failure at run time, 3 a peer that is down, or something
 *  else that is wrong, where that was asked; from
 *  sysexits.h 75 (EX_TEMPFAIL) asks to be started again at once, 78 (EX_CONFIG) is bad configuration, after which a service
 *  manager must not restart. */
export const exitCode = { ok: 0, failure: 1, down: 3, again: 75, config: 78 } as const;

export class CryonetError extends Error {
  readonly code: ErrorCode;

  /** `detail` is one line for an operator; without it the table's own words are the message. */
  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(detail ?? errorCodes[code], options);
    this.name = 'CryonetError';
    this.code = code;
  }
}

/** System errors that last until somebody changes the configuration, a file or its permissions. All others may pass: a
 *  full or read-only disk, an address or a device that is not there yet. */
const lasting: ReadonlySet<string> = new Set([
  ...['EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'],
]);

/** The error for a refused system call: `unavailable` if the cause may pass, else `bad_config`. */
export function systemError(detail: string, cause: unknown): CryonetError {
  const { code } = cause as NodeJS.ErrnoException;
  const passes = code !== undefined && !lasting.has(code);
  return new CryonetError(passes ? 'unavailable' : 'bad_config', detail, { cause });
}

/** Whether trying again later may help. */
export function mayPass(thrown: unknown): boolean {
  return (
    thrown instanceof CryonetError && !['bad_config', 'version_mismatch', 'internal'].includes(thrown.code)
  );
}

/** The message of anything thrown, on one line. */
export function reasonOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replace(/\s*\n\s*/g, ' ').trim();
}
