import { useEffect } from 'react';
import { useQuery } from 'urql';
import { Link } from 'wouter';
import { Badge, type Tone } from '../components/Badge';
import { PageTitle } from '../components/PageTitle';
import { number, titled } from '../components/format';
import { Empty, Failure, Loading } from '../components/states';
import { Time } from '../components/Time';
import { LimitsDocument, OverviewDocument, type OverviewQuery } from '../generated';
import { LatestChanges } from '../live/LatestChanges';
import { useReadAnew } from '../live/LiveProvider';

const EVERY_MS = 10_000;
const ALL = {};

export function Overview() {
  const [{ data, error }, read] = useQuery({ query: OverviewDocument });
  const [limits] = useQuery({ query: LimitsDocument });
  const again = () => read({ requestPolicy: 'network-only' });
  useReadAnew(() => true, again);
  // The first read shows the health from before its own calls.
  const isUncalled = data?.providers.some(({ health }) => health.status === 'UNKNOWN') ?? false;
  useEffect(() => {
    if (isUncalled) again();
  }, [isUncalled]);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || again(), EVERY_MS);
    return () => clearInterval(timer);
  }, []);

  const slowest = slowestOf(data?.providers ?? []);
  const currents = new Map(limits.data?.providers.map(({ key, limits: each }) => [key, each]));
  return (
    <section className="page">
      <PageTitle>Overview</PageTitle>
      {data && <Totals providers={data.providers} />}
      {error && !data && <Failure error={error} onRetry={again} />}
      {!data && !error && <Loading what="the providers" />}
      {data && <p className="dim">Health and latency are of the latest calls that this gateway made.</p>}
      <h2 className="hidden">Providers</h2>
      {data && (
        <ul className="cards" aria-label="Providers">
          {data.providers.map((provider) => (
            <li key={provider.key}>
              <ProviderCard provider={provider} limits={currents.get(provider.key) ?? []} isSlowest={provider.key === slowest} />
            </li>
          ))}
        </ul>
      )}
      {/* Only then: the cards above would push it down. */}
      {(data || error) && (
        <>
          <h2>Latest changes</h2>
          <LatestChanges filter={ALL} length={25}>
            <Empty title="No change is known from the last 24 hours">
              Assign a customer in <a href="/graphql">GraphiQL</a>, and it appears here at once.
            </Empty>
          </LatestChanges>
        </>
      )}
    </section>
  );
}

type ProviderRow = OverviewQuery['providers'][number];

function Totals({ providers }: { providers: readonly ProviderRow[] }) {
  const totals = providers.map(({ segments }) => segments?.totalCount ?? null);
  const known = totals.filter((total) => total !== null);
  const troubled = (['DOWN', 'DEGRADED'] as const).flatMap((status) => {
    const many = providers.filter(({ health }) => health.status === status).length;
    return many ? [`${number(many)} ${HEALTH[status][1].toLowerCase()}`] : [];
  });
  return (
    <dl className="totals">
      <div>
        <dt>Providers</dt>
        <dd>
          {number(providers.length)}
          {troubled.map((words) => (
            <span key={words} className="bad">
              {' · '}
              {words}
            </span>
          ))}
        </dd>
      </div>
      <div>
        <dt>Segments</dt>
        <dd>
          <Link href="/segments">
            {number(known.reduce((sum, total) => sum + total, 0))}
            {known.length < totals.length && '+'}
          </Link>
        </dd>
      </div>
    </dl>
  );
}

const HEALTH: Record<ProviderRow['health']['status'], [Tone, string]> = {
  UP: ['good', 'Up'],
  DEGRADED: ['warn', 'Degraded'],
  DOWN: ['bad', 'Down'],
  UNKNOWN: ['plain', 'Not called yet'],
};
const CIRCUITS: Record<ProviderRow['health']['circuit'], string | null> = {
  CLOSED: null,
  OPEN: 'Circuit open: nothing is sent',
  HALF_OPEN: 'Circuit half open: probing',
};
const WEBHOOKS: Record<NonNullable<ProviderRow['webhooks']>['state'], [Tone, string]> = {
  UNCONFIGURED: ['plain', 'not set up'],
  HEALTHY: ['good', 'healthy'],
  QUIET: ['warn', 'quiet'],
  FAILING: ['bad', 'failing'],
};

interface Limit {
  name: string;
  maximum: number | null;
  current: number | null;
}

interface CardProps {
  provider: ProviderRow;
  limits: readonly Limit[];
  isSlowest: boolean;
}

function ProviderCard({ provider, limits, isSlowest }: CardProps) {
  const { health, webhooks, segments } = provider;
  const [tone, text] = HEALTH[health.status];
  const [webhookTone, webhookText] = WEBHOOKS[webhooks?.state ?? 'UNCONFIGURED'];
  return (
    <article className="card" aria-labelledby={`provider-${provider.key}`}>
      <header>
        <h3 id={`provider-${provider.key}`}>
          <Link href={`/segments?provider=${encodeURIComponent(provider.key)}`}>{provider.displayName}</Link>
        </h3>
        <Badge tone={tone}>{text}</Badge>
      </header>
      {CIRCUITS[health.circuit] && <p className="bad">{CIRCUITS[health.circuit]}</p>}
      <dl className="facts">
        <Fact name="Key" value={<code>{provider.key}</code>} />
        <Fact name="Segments" value={segments?.totalCount == null ? '–' : number(segments.totalCount)} />
        <Fact
          name="Latency p50 / p95"
          value={
            <>
              {isSlowest && (
                <Badge tone="warn" title="The highest p95 of the latest calls">
                  slowest
                </Badge>
              )}{' '}
              <span className="nowrap">
                {milliseconds(health.latencyMsP50)} / {milliseconds(health.latencyMsP95)}
              </span>
            </>
          }
        />
        <Fact name="Last success" value={health.lastSuccessAt ? <Time at={health.lastSuccessAt} /> : '–'} />
        {health.lastError && <Fact name="Last error" value={health.lastError} />}
        <Fact
          name="Webhooks"
          value={
            <>
              <Badge tone={webhookTone} title={webhooks?.lastRejection ?? ''}>
                {webhookText}
              </Badge>
              {webhooks && webhooks.state !== 'UNCONFIGURED' && ` ${number(webhooks.receivedLast24h)} in 24 h`}
            </>
          }
        />
        {limits
          .filter(({ current }) => current !== null)
          .map(({ name, maximum, current }) => (
            <Fact key={name} name={titled(name)} value={`${number(current!)} of ${maximum === null ? '–' : number(maximum)}`} />
          ))}
      </dl>
    </article>
  );
}

function Fact({ name, value }: { name: string; value: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** A p95 below this is not slow, whatever the others' are. */
const SLOW_MS = 100;

/** Return the key of the provider that is clearly slower than the others; null if none is. One that is down is not slow. */
function slowestOf(providers: readonly ProviderRow[]): string | null {
  const [first, second] = providers
    .flatMap(({ key, health: { status, latencyMsP95 } }) => (latencyMsP95 === null || status === 'DOWN' ? [] : [{ key, latency: latencyMsP95 }]))
    .sort((one, other) => other.latency - one.latency);
  return first && second && first.latency > Math.max(SLOW_MS, 1.5 * second.latency) ? first.key : null;
}

function milliseconds(value: number | null): string {
  return value === null ? '–' : `${number(Math.round(value))} ms`;
}
