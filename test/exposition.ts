/** Reads metrics as Prometheus does, and refuses what `promtool check metrics` would complain of. */
import assert from 'node:assert/strict';

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly type: string;
  readonly series: Series[];
}

/** By name. Throws where the text is not in the format, or a name is not as it should be.
 *  https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function readExposition(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line has no end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let help = '';
  let current = '';
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const about = /^# (HELP|TYPE) ([a-z_][a-z0-9_]*) (\S.*)$/.exec(line);
    if (about?.[1] === 'HELP') {
      help = about[2]!;
      assert.ok(!families.has(help), `${help} stands at two places`);
    } else if (about !== null) {
      current = about[2]!;
      assert.equal(current, help, 'a type without help');
      assert.match(about[3]!, /^(gauge|counter)$/, line);
      assert.equal(current.endsWith('_total'), about[3] === 'counter', `${current} is a ${about[3]}`);
      assert.doesNotMatch(current, /_(milliseconds|ms|percent|kb)\b/, 'not a base unit');
      families.set(current, { type: about[3]!, series: [] });
    } else {
      const series = seriesOf(line);
      assert.equal(series.name, current, `${line} stands under ${current}`);
      const key = line.slice(0, line.lastIndexOf(' '));
      assert.ok(!seen.has(key), `${key} is there twice`);
      seen.add(key);
      families.get(current)!.series.push(series);
    }
  }
  return families;
}

function seriesOf(line: string): Series {
  const parts = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  assert.ok(parts !== null, `no series: ${line}`);
  const labels: Record<string, string> = {};
  let rest = parts[2] ?? '';
  while (rest !== '') {
    const label = /^([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(rest);
    assert.ok(label !== null, `no label: ${rest}`);
    labels[label[1]!] = label[2]!;
    rest = rest.slice(label[0].length);
  }
  const value = Number(parts[3]);
  assert.ok(Number.isFinite(value), line);
  return { name: parts[1]!, labels, value };
}
