/** Log lines as entries of the journal, by its native protocol. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, globSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { explained, journalCatalog, journalEntry, longestEntry } from '../protocol/journal.ts';
import { openLog } from '../protocol/log.ts';
import { toJournal } from '../service/journal.ts';
import { waitFor } from './native/wait.ts';
import { openManager } from './service-manager.ts';
import { temporaryFolder } from './socket-pair.ts';

const root = join(import.meta.dirname, '..');

function fieldsOf(entry: string): Map<string, string> {
  assert.ok(entry.endsWith('\n'));
  return new Map(
    entry
      .slice(0, -1)
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

suite('an entry', () => {
  test('has the line for people, its event, what explains it, and each field', () => {
    const fields = { peer: 'rome', interface: 'cnrome', leftOut: 3, reason: '', gone: undefined };
    const line = { level: 'info', message: 'link lost', fields, time: new Date(0) } as const;
    assert.deepEqual(
      [...fieldsOf(journalEntry(line, 'cryonet', 'link lost peer=rome'))],
      [
        ['MESSAGE', 'link lost peer=rome'],
        ['PRIORITY', '6'],
        ['SYSLOG_IDENTIFIER', 'cryonet'],
        ['MESSAGE_ID', explained['link lost']!.id],
        ['CRYONET_EVENT', 'link.lost'],
        ['CRYONET_PEER', 'rome'],
        ['CRYONET_INTERFACE', 'cnrome'],
        ['CRYONET_LEFT_OUT', '3'],
      ],
    );
  });

  test('has no field of somebody else’s making, whatever a peer puts into a reason', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constant('x\nPRIORITY=0\n_PID=1\n\nMESSAGE\n'));
    fc.assert(
      fc.property(text, text, (reason, message) => {
        const entry = journalEntry(
          { level: 'warn', message: 'warning', fields: { reason: `${reason}.` }, time: new Date(0) },
          'cryonet',
          `warning ${message}`,
        );
        const names = [...fieldsOf(entry).keys()];
        assert.deepEqual(names, ['MESSAGE', 'PRIORITY', 'SYSLOG_IDENTIFIER', 'MESSAGE_ID', 'CRYONET_REASON']);
        assert.equal(entry.split('\n').length, names.length + 1);
      }),
    );
  });

  test('goes to the journal that has standard error, and by standard error where that does not take it', async (context) => {
    const journal = await openManager(context);
    const file = openSync(join(temporaryFolder(context), 'stderr'), 'w');
    context.after(() => closeSync(file));
    const { dev, ino } = fstatSync(file, { bigint: true });
    const stream = { JOURNAL_STREAM: `${dev}:${ino}` };
    const send = toJournal(stream, journal.address, file)!;
    openLog('cryonet', 'info', 'auto', send).info('link up', { peer: 'rome' });
    await waitFor('an entry', () => journal.heard.length === 1);
    assert.match(journal.heard[0]!, /^MESSAGE=link up peer=rome PRIORITY=6 .* CRYONET_PEER=rome\s*$/);

    for (const [env, descriptor] of [
      [{}, file],
      [{ JOURNAL_STREAM: '' }, file],
      [{ JOURNAL_STREAM: '8:1' }, file],
      [stream, 1_000_000],
    ] as const)
      assert.equal(toJournal(env, journal.address, descriptor), undefined);
    assert.throws(() => toJournal(stream, '/none', file)!('MESSAGE=x\n'));
    // As long as the addon takes.
    send(`MESSAGE=${'x'.repeat(longestEntry - 9)}\n`);
    await waitFor('a long one', () => journal.heard.length === 2);
  });
});

suite('what explains a message', () => {
  test('is of a message that there is, and of an event of it', () => {
    const sources = globSync('{control,dataplane,protocol}/**/*.ts', { cwd: root })
      .filter((path) => path !== 'protocol/journal.ts')
      .map((path) => readFileSync(join(root, path), 'utf8'))
      .join('\n');
    for (const [message, { event }] of Object.entries(explained)) {
      assert.ok(sources.includes(`'${message}'`), message);
      if (event !== undefined) assert.ok(sources.includes(`'${event}'`), event);
    }
  });

  test('is a catalog with an entry for each, as journalctl reads it', () => {
    const all = Object.values(explained);
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
    const entries = journalCatalog().split(/^-- /m).slice(1);
    assert.equal(entries.length, all.length);
    for (const entry of entries)
      assert.match(
        entry,
        /^[0-9a-f]{32}\nSubject: \S[^\n]*\nDefined-By: cryonet\n\n\S[^@]*(@CRYONET_[A-Z]+@[^@]*)*\n$/,
      );
  });
});
