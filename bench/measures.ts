/** All measures. */
import type { Measure } from './measure.ts';
import { fan } from './measures/fan.ts';
import { firstPacket } from './measures/first-packet.ts';
import { idle } from './measures/idle.ts';
import { join } from './measures/join.ts';
import { linkCpu } from './measures/link-cpu.ts';
import { links } from './measures/links.ts';
import { mesh } from './measures/mesh.ts';
import { restart } from './measures/restart.ts';
import { roundTrip } from './measures/round-trip.ts';
import { startup } from './measures/startup.ts';
import { throughput } from './measures/throughput.ts';
import { udpRate } from './measures/udp.ts';
import { watch } from './measures/watch.ts';

/** In the order of the table. */
export const measures: readonly Measure[] = [
  ...[mesh(10, 5), mesh(30, 12), linkCpu, join, firstPacket, throughput],
  ...[udpRate, roundTrip, fan, idle, links, restart, startup, watch],
];
