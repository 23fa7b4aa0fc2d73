import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import { Badge } from '../components/Badge';
import { Empty, Partial } from '../components/states';
import type { PersonCardFragment } from '../generated';
import { LatestChanges } from '../live/LatestChanges';
import { useReadAnew } from '../live/LiveProvider';
import { OriginBadge, StatusBadge } from '../segments/SegmentTable';
import { Links } from './Links';
import { WhyNot } from './WhyNot';

type Customer = PersonCardFragment['customers'][number];

/** One person: every provider side by side, the links between them, and what changed lately. */
export function Person({ person, onChange }: { person: PersonCardFragment; onChange: () => void }) {
  const { customers, segments, sources } = person;
  const ids = customers.map(({ id }) => id);
  useReadAnew((change) => change.__typename === 'AssignmentChange' && ids.includes(change.customerId), onChange);
  const name = customers.find((each) => each.name)?.name ?? 'No name';
  return (
    <>
      <h2 className="title">{name}</h2>
      {segments && <Partial sources={segments.sources} />}
      <ul className="cards top" aria-label="Providers">
        {sources.map(({ provider, error }) => (
          <li key={provider.key}>
            <ProviderColumn
              name={provider.displayName}
              providerKey={provider.key}
              error={error?.code ?? null}
              customers={customers.filter((each) => each.identities[0]?.provider.key === provider.key)}
              person={person}
            />
          </li>
        ))}
      </ul>
      <Links person={person} onChange={onChange} />
      <Timeline ids={ids} />
    </>
  );
}

interface ColumnProps {
  name: string;
  providerKey: string;
  error: string | null;
  customers: readonly Customer[];
  person: PersonCardFragment;
}

function ProviderColumn({ name, providerKey, error, customers, person }: ColumnProps) {
  const segments = person.segments?.nodes.filter(({ provider }) => provider.key === providerKey) ?? [];
  return (
    <article className="card" aria-labelledby={`at-${providerKey}`}>
      <header>
        <h3 id={`at-${providerKey}`}>{name}</h3>
        {!customers.length && <Badge tone={error && error !== 'UNSUPPORTED' ? 'bad' : 'plain'}>{absence(error)}</Badge>}
      </header>
      {customers.map((customer) => (
        <dl key={customer.id} className="facts">
          <Fact name="Name" value={customer.name} />
          <Fact name="E-mail" value={customer.email} />
          <Fact name="Phone" value={customer.phone} />
          {customer.identities.map(({ key, externalId }) => (
            <Fact key={`${key} ${externalId}`} name={key ?? 'key'} value={<code>{externalId}</code>} />
          ))}
        </dl>
      ))}
      {customers.length > 0 && (
        <>
          <h4>Segments</h4>
          {segments.length ? (
            <ul className="segments">
              {segments.map((segment) => (
                <li key={segment.id}>
                  <Link href={`/segments/${encodeURIComponent(segment.id)}`}>{segment.name}</Link>{' '}
                  <OriginBadge origin={segment.origin} /> {!segment.isActive && <StatusBadge segment={segment} />}
                </li>
              ))}
            </ul>
          ) : (
            <p className="dim">None</p>
          )}
          <WhyNot customer={customers[0]!} provider={providerKey} inIds={segments.map(({ id }) => id)} />
        </>
      )}
    </article>
  );
}

function absence(error: string | null): string {
  if (error === 'UNSUPPORTED') return 'Cannot be searched';
  return error ? 'Does not answer' : 'No linked customer';
}

function Fact({ name, value }: { name: string; value: React.ReactNode }) {
  if (!value) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

const PERIODS: readonly { days: number | null; words: string }[] = [
  { days: 1, words: 'in the last 24 hours' },
  { days: 7, words: 'in the last 7 days' },
  { days: 30, words: 'in the last 30 days' },
  { days: null, words: 'since the gateway keeps changes' },
];
const MOST_CHANGES = 200;

function Timeline({ ids }: { ids: readonly string[] }) {
  const [index, setIndex] = useState(0);
  const { days, words } = PERIODS[index]!;
  const key = ids.join(' ');
  const filter = useMemo(() => ({ customerIds: key.split(' ') }), [key]);
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">Changes {words}</h2>
      <LatestChanges filter={filter} length={MOST_CHANGES} days={days}>
        <Empty title={`No change is known ${words}`} />
      </LatestChanges>
      {days !== null && (
        <div className="pager">
          <button type="button" onClick={() => setIndex(index + 1)}>
            Show earlier changes
          </button>
        </div>
      )}
    </section>
  );
}
