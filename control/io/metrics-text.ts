/** Metrics as text: Prometheus' format, and OpenMetrics for whoever asks for that. */
import type * as Prometheus from 'prom-client';
import { type Figures, type Metric, metrics, peersOf, type Sample } from './metrics.ts';

interface MetricsText {
  /** Media type. */
  readonly type: string;
  readonly text: string;
}

const openMetricsType = /\bapplication\/openmetrics-text\b/;

/** `accept`: the header of that name. https://prometheus.io/docs/instrumenting/exposition_formats/ */
export async function metricsText(figures: Figures, accept = ''): Promise<MetricsText> {
  // Few nodes are asked, and others are spared a library.
  const { default: prometheus } = (await import('prom-client')) as unknown as { default: typeof Prometheus };
  const { Registry, openMetricsContentType } = prometheus;
  // A registry for each answer: a peer that is gone leaves no series behind, and nothing is kept in between.
  const registry = new Registry();
  if (openMetricsType.test(accept))
    (registry as Prometheus.Registry<Prometheus.RegistryContentType>).setContentType(openMetricsContentType);
  const peers = peersOf(figures);
  for (const each of metrics) registry.registerMetric(readable(each, [...each.samples(figures, peers)]));
  return { type: registry.contentType, text: await registry.metrics() };
}

/** What a registry reads of a metric. Its own classes of metrics keep each series under a key of its labels, which costs
 *  more than all else, and is for nothing where each series is made once. */
function readable({ name, type, help, labels }: Metric, samples: readonly Sample[]): Prometheus.Metric {
  const values = samples.map(([value, ...texts]) => ({
    value,
    labels: Object.fromEntries(labels.map((label, at) => [label, texts[at]!])),
  }));
  // The registry changes the name of a counter where OpenMetrics has another.
  const metric = {
    name,
    type,
    get: async () => ({ name: metric.name, help, type, aggregator: 'sum', values }),
  };
  return metric as unknown as Prometheus.Metric;
}
