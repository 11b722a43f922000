/** A CA for tests, made with openssl, and the certificates that it signs. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Why these tests are skipped; false where they are not. */
export const lacksOpenssl = spawnSync('openssl', ['version']).status === 0 ? false : 'needs openssl';

export class Authority {
  /** PEM. */
  readonly certificate: string;
  readonly file: string;
  readonly #folder: string;
  #count = 0;

  /** Its files are in `folder`. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(join(folder, 'certs'));
    writeFileSync(join(this.#folder, 'index'), '');
    const lines = [
      ...['[ca]', 'default_ca = d', '[d]', `database = ${join(this.#folder, 'index')}`],
      ...[`new_certs_dir = ${join(this.#folder, 'certs')}`, 'rand_serial = yes', 'default_md = sha256'],
      ...['policy = p', 'copy_extensions = copy', 'email_in_dn = no', 'unique_subject = no'],
      ...['[p]', 'commonName = supplied', '[req]', 'distinguished_name = dn', '[dn]'],
    ];
    writeFileSync(join(this.#folder, 'config'), lines.join('\n'));
    this.file = join(this.#folder, 'ca.pem');
    const made = ['-keyout', join(this.#folder, 'ca.key'), '-out', this.file];
    this.#openssl(
      'req',
      '-x509',
      '-subj',
      '/CN=a CA',
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      ...made,
      ...curve,
    );
    this.certificate = readFileSync(this.file, 'utf8');
  }

  /** Valid on these days, `YYYYMMDD`. */
  sign(name: string, { from = '20200101', until = '20990101' } = {}): Certificate {
    const base = join(this.#folder, `${++this.#count}`);
    const names = [
      '-subj',
      `/CN=${name}`,
      '-addext',
      `subjectAltName=${/^[\d.]+$/.test(name) ? 'IP' : 'DNS'}:${name}`,
    ];
    this.#openssl('req', ...names, '-keyout', `${base}.key`, '-out', `${base}.csr`, ...curve);
    const dates = ['-startdate', `${from}000000Z`, '-enddate', `${until}000000Z`];
    const ours = ['-config', join(this.#folder, 'config'), '-cert', this.file];
    const key = ['-keyfile', join(this.#folder, 'ca.key')];
    this.#openssl(
      'ca',
      '-batch',
      '-notext',
      ...ours,
      ...key,
      ...dates,
      '-in',
      `${base}.csr`,
      '-out',
      `${base}.pem`,
    );
    return { cert: readFileSync(`${base}.pem`, 'utf8'), key: readFileSync(`${base}.key`, 'utf8') };
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
