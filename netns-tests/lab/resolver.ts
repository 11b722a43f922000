/**
 * A name server that knows one name, for a host behind a NAT64. A program: `node resolver.ts ADDRESS PREFIX`, where PREFIX
 * is the first 96 bits of what it makes up for ipv4only.arpa (RFC 7050 section 8.2), say `2001:db8:64::`.
 */
import dgram from 'node:dgram';

const [address = '', prefix = ''] = process.argv.slice(2);
const type = { a: 1, aaaa: 28 } as const;
const headerBytes = 12;
/** Seconds. */
const lifetime = 60;

const socket = dgram.createSocket('udp6');
socket.on('message', (query, from) => {
  const { name, end } = readName(query);
  const asked = query.readUInt16BE(end);
  const records = name === 'ipv4only.arpa' ? [170, 171].map((last) => dataOf(asked, last)) : [];
  const answers = records.filter((data) => data.length > 0);
  const header = Buffer.from(query.subarray(0, headerBytes));
  // Response, recursion available; NXDOMAIN for all other names.
  header.writeUInt16BE(0x8180 | (name === 'ipv4only.arpa' ? 0 : 3), 2);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt32BE(0, 8);
  const question = query.subarray(headerBytes, end + 4);
  socket.send(
    Buffer.concat([header, question, ...answers.map((data) => record(asked, data))]),
    from.port,
    from.address,
  );
});
socket.bind(53, address, () => console.log('listening'));

/** The first name of a query, and where its type stands. */
function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = headerBytes;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

function dataOf(asked: number, last: number): Buffer {
  const ipv4 = Buffer.from([192, 0, 0, last]);
  if (asked === type.a) return ipv4;
  if (asked !== type.aaaa) return Buffer.alloc(0);
  const groups = prefix
    .replace(/::$/, '')
    .split(':')
    .map((group) => Number.parseInt(group, 16));
  const bytes = groups.flatMap((group) => [group >> 8, group & 255]);
  return Buffer.concat([Buffer.from(bytes), Buffer.alloc(12 - bytes.length), ipv4]);
}

function record(asked: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  // A pointer to the name in the question (RFC 1035 section 4.1.4).
  head.writeUInt16BE(0xc000 | headerBytes, 0);
  head.writeUInt16BE(asked, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(lifetime, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
