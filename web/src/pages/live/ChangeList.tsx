import { Link } from 'wouter';
import { Badge, type Tone } from '../components/Badge';
import { PersonLink } from '../components/PersonLink';
import { Time } from '../components/Time';
import type { Change } from './followChanges';

const TONES: Record<Change['kind'], Tone> = {
  ENTERED: 'good',
  LEFT: 'warn',
  CREATED: 'good',
  UPDATED: 'info',
  DELETED: 'bad',
};
const SOURCES: Record<Change['source'], string> = {
  WRITE: 'written here',
  WEBHOOK: 'by webhook',
  DIFF: 'found by comparing',
};

/** Changes, newest first, in words. */
export function ChangeList({ changes, withSegment = true }: { changes: readonly Change[]; withSegment?: boolean | undefined }) {
  return (
    <ol className="changes" aria-live="polite">
      {changes.map((change) => (
        <li key={change.id}>
          <Badge tone={TONES[change.kind]}>{change.kind.toLowerCase()}</Badge>
          <span className="grow">
            <Subject change={change} withSegment={withSegment} />
          </span>
          <span className="dim nowrap" title={SOURCES[change.source]}>
            {change.provider.displayName} · <Time at={change.occurredAt ?? change.recordedAt} />
          </span>
        </li>
      ))}
    </ol>
  );
}

function Subject({ change, withSegment }: { change: Change; withSegment: boolean }) {
  const segment = <SegmentLink id={change.segmentId} name={change.segment?.name} />;
  if (change.__typename === 'SegmentChange') return segment;
  const { customer, customerId } = change;
  // A provider may know no name: its own key of the customer says more than our id.
  const who = customer?.name || customer?.email || customer?.identities[0]?.externalId || customerId;
  return (
    <>
      <PersonLink id={customerId}>{who}</PersonLink>
      {withSegment && (
        <>
          {' '}
          {change.kind === 'LEFT' ? 'left' : 'in'} {segment}
        </>
      )}
    </>
  );
}

function SegmentLink({ id, name }: { id: string; name: string | undefined }) {
  // A deleted segment has no page.
  if (name === undefined) return <span className="dim">a segment that is gone</span>;
  return <Link href={`/segments/${encodeURIComponent(id)}`}>{name}</Link>;
}
