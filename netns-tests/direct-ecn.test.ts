/** Congestion that routers on the way mark, and what of a packet they see. */
import assert from 'node:assert/strict';
import { addressLink, directPair, dropsOfPath, notRecords, onPath, records } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { counters, kernelCounter } from './lab/marks.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ──┐ marks what can be marked, one record of ten
 *   b → a ─────────┘
 */
for (const family of ['ipv4', 'ipv6'] as const) {
  story(`by ${family}, TCP inside learns of congestion outside`, ['iperf3', 'nft'], async (lab) => {
    const { a, b } = await directPair(lab, { family });
    const ip = family === 'ipv4' ? 'ip' : 'ip6';
    a.start();
    b.start();
    await onPath('direct', [a, b], 30_000);
    const [addressOfA] = await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
    for (const { namespace } of [a, b]) {
      await namespace.$`sysctl -qw net.ipv4.tcp_ecn=1`;
      await namespace.rules(
        `table inet outside {
           counter capable {}
           counter marked {}
           counter other {}
           chain input {
             type filter hook prerouting priority raw;
             iifname "eth0" ${records} ${ip} ecn ect0 counter name capable
             iifname "eth0" ${records} ${ip} dscp != cs0 counter name other
             iifname "eth0" ${notRecords} ${ip} ecn != not-ect counter name other
             iifname "eth0" ${records} ${ip} ecn ect0 numgen random mod 10 < 1 ${ip} ecn set ce counter name marked
           }
         }`,
      );
    }
    const flow = await Flow.start(a.namespace, addressOfA, b.namespace, { seconds: 3, rate: '100M' });
    const { bytes } = await flow.end();
    const { capable, marked, other } = await counters(b.namespace);
    const delivered = await kernelCounter(a.namespace, 'TcpExtTCPDeliveredCE');
    lab.figures.push(
      `${bytes} bytes, ${capable} capable and ${marked} marked outside, ${delivered} delivered with CE`,
    );
    assert.ok(marked! > 20, lab.figures.at(-1));
    // A mark is one call's records; TCP counts segments.
    assert.ok(delivered >= marked! / 2, lab.figures.at(-1));
    assert.equal(other, 0, 'the DSCP is not shown, and what is no record is not marked');
    assert.deepEqual(dropsOfPath(await b.peer('a')), {});

    // What has no way to say so is dropped, as where there is no tunnel that marks, and counted.
    await b.namespace.rules(
      `table inet outside {
         chain forge {
           type filter hook prerouting priority raw + 1;
           iifname "eth0" ${records} ${ip} ecn set ce
         }
       }`,
    );
    const { received } = await ping(b.namespace, addressOfA, { count: 20, interval: 0.01 });
    const dropped = (await b.peer('a'))?.dropped?.congested ?? 0;
    lab.figures.push(`${received} of 20 pings, ${dropped} packets dropped`);
    assert.equal(received, 0);
    assert.ok(dropped >= 20, lab.figures.at(-1));
    assert.equal((await b.peer('a'))?.path, 'direct', 'marks do not take the path down');
  });
}

/*
 *   a  bootstrap, --dscp ──┐ switch
 *   b → a, --dscp ─────────┘
 */
for (const [dscp, outside, ofProbes] of [
  ['copy', 'af41', 'cs0'],
  ['46', 'ef', 'ef'],
] as const) {
  story(`with --dscp ${dscp}, packets inside with AF41 show ${outside} outside`, ['nft'], async (lab) => {
    const { a, b } = await directPair(lab, { options: ['--dscp', dscp] });
    a.start();
    b.start();
    await onPath('direct', [a, b], 30_000);
    const [, addressOfB] = await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
    await b.namespace.rules(
      `table inet outside {
         counter outside {}
         counter inside {}
         counter probes {}
         counter others {}
         chain input {
           type filter hook prerouting priority raw;
           iifname "eth0" ${records} ip dscp ${outside} counter name outside
           iifname "eth0" ${records} @th,72,8 != 0 ip dscp ${ofProbes} counter name probes
           iifname "eth0" ${records} ip dscp != { ${outside}, ${ofProbes} } counter name others
           iifname "cna" ip dscp af41 counter name inside
         }
       }`,
    );
    // AF41 (RFC 2597) with ECT(0).
    await a.namespace.$`ping -q -c 50 -i 0.01 -Q ${0x8a} ${addressOfB}`;
    const counted = await waitFor(
      'a probe of the active path',
      10_000,
      () => counters(b.namespace),
      ({ probes }) => probes! > 0,
    );
    lab.figures.push(`${counted.outside} outside, ${counted.inside} inside`);
    assert.equal(counted.inside, 50);
    assert.ok(counted.outside! >= 50, lab.figures.at(-1));
    assert.equal(counted.others, 0);
  });
}
