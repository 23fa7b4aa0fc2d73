import { useState } from 'react';
import { useQuery } from 'urql';
import { Link } from 'wouter';
import { PageTitle } from '../components/PageTitle';
import { dayAndTime } from '../components/format';
import { Empty, Failure, Loading } from '../components/states';
import { Time } from '../components/Time';
import { SegmentDocument, type SegmentQuery } from '../generated';
import { useReadAnew } from '../live/LiveProvider';
import { OriginBadge, StatusBadge } from '../segments/SegmentTable';
import { titled } from '../components/format';
import { Items } from './Items';
import { LatestMembers } from './LatestMembers';
import { Members } from './Members';
import { Raw } from './Raw';
import { Rule } from './Rule';
import { Sizes } from './Sizes';
import { Tabs } from '../components/Tabs';

export default function Segment({ id }: { id: string }) {
  const [{ data, error }, read] = useQuery({ query: SegmentDocument, variables: { id } });
  const again = () => read({ requestPolicy: 'network-only' });
  useReadAnew((change) => change.__typename === 'SegmentChange' && change.segmentId === id, again);
  const segment = data?.segment;

  const isNoId = error?.graphQLErrors[0]?.extensions['code'] === 'BAD_USER_INPUT';
  if (error && !segment && !isNoId) return <Framed><Failure error={error} onRetry={again} /></Framed>;
  if (segment === null || isNoId) {
    return (
      <Framed>
        <Empty title="There is no such segment">
          It may have been deleted. See all <Link href="/segments">segments</Link>.
        </Empty>
      </Framed>
    );
  }
  if (!segment) return <Framed><Loading what="the segment" rows={6} /></Framed>;
  return <Details segment={segment} />;
}

function Framed({ children }: { children: React.ReactNode }) {
  return (
    <section className="page">
      <Trail />
      {children}
    </section>
  );
}

function Trail() {
  return (
    <nav aria-label="Where you are" className="trail">
      <Link href="/segments">Segments</Link>
    </nav>
  );
}

type Details = NonNullable<SegmentQuery['segment']>;

function Details({ segment }: { segment: Details }) {
  const [tab, setTab] = useState('Members');
  const { id } = segment;
  return (
    <Framed>
      <div className="heading">
        <PageTitle>{segment.name}</PageTitle>
        <OriginBadge origin={segment.origin} />
        <StatusBadge segment={segment} />
        <Link href={`/compare?segment=${encodeURIComponent(id)}`} className="button">
          Compare
        </Link>
      </div>
      {segment.description && <p className="lead">{segment.description}</p>}
      <dl className="facts wide">
        <Fact name="Provider" value={`${segment.provider.displayName} (${segment.provider.key})`} />
        <Fact name="Id there" value={<code>{segment.externalId}</code>} />
        <Fact name="Membership" value={titled(segment.membership)} />
        {segment.priority !== null && <Fact name="Priority" value={segment.priority} />}
        {segment.siteCode && <Fact name="Site" value={segment.siteCode} />}
        {segment.validity && (
          <Fact
            name="Valid"
            value={`${segment.validity.from ? dayAndTime(segment.validity.from) : '…'} – ${segment.validity.to ? dayAndTime(segment.validity.to) : '…'}`}
          />
        )}
        {segment.createdAt && <Fact name="Created" value={<Time at={segment.createdAt} />} />}
        {segment.updatedAt && <Fact name="Updated" value={<Time at={segment.updatedAt} />} />}
      </dl>
      <div className="columns">
        <Sizes id={id} />
        <LatestMembers id={id} />
      </div>
      {segment.rule && <Rule rule={segment.rule} />}
      <Tabs
        label="Contents"
        selected={tab}
        onSelect={setTab}
        tabs={{
          Members: () => <Members id={id} />,
          Items: () => <Items id={id} />,
          Raw: () => <Raw id={id} />,
        }}
      />
    </Framed>
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
