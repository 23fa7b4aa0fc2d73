import { Link } from 'wouter';
import { Badge } from '../components/Badge';
import { count } from '../components/format';
import { Sparkline } from '../components/Sparkline';
import { Time } from '../components/Time';
import type { SegmentRowFragment, SegmentSortKey } from '../generated';
import type { Shown } from './searchParameters';
import { titled } from '../components/format';
import type { Size } from './useSegmentSizes';

interface Props {
  rows: readonly SegmentRowFragment[];
  sizes: ReadonlyMap<string, Size | null>;
  shown: Shown;
  onSort: (change: globalThis.Partial<Shown>) => void;
}

const COLUMNS: readonly { name: string; sort?: SegmentSortKey; className?: string }[] = [
  { name: 'Name', sort: 'NAME' },
  { name: 'Provider', sort: 'PROVIDER' },
  { name: 'Membership' },
  { name: 'Status' },
  { name: 'Members', className: 'numeric' },
  { name: '30 days' },
  { name: 'Updated', sort: 'UPDATED_AT' },
];

export function SegmentTable({ rows, sizes, shown, onSort }: Props) {
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label="Segments">
      <table>
        <thead>
          <tr>
            {COLUMNS.map(({ name, sort, className }) => (
              <th key={name} scope="col" className={className} aria-sort={sort && sort === shown.sort ? (shown.reverse ? 'descending' : 'ascending') : undefined}>
                {sort ? (
                  <button type="button" onClick={() => onSort({ sort, reverse: sort === shown.sort && !shown.reverse })}>
                    {name}
                    <span aria-hidden="true">{sort === shown.sort ? (shown.reverse ? '↓' : '↑') : ''}</span>
                  </button>
                ) : (
                  name
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <SegmentLine key={row.id} row={row} size={sizes.get(row.id)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SegmentLine({ row, size }: { row: SegmentRowFragment; size: Size | null | undefined }) {
  return (
    <tr>
      <th scope="row">
        <Link href={`/segments/${encodeURIComponent(row.id)}`}>{row.name}</Link>
      </th>
      <td>{row.provider.displayName}</td>
      <td>{titled(row.membership)}</td>
      <td>
        <StatusBadge segment={row} /> <OriginBadge origin={row.origin} />
      </td>
      <td className="numeric">{size === undefined ? <span className="dim">…</span> : size?.customersCount ? count(size.customersCount) : <span className="dim">–</span>}</td>
      <td>{size?.sizeHistory && <Sparkline points={size.sizeHistory} now={size.customersCount?.count} />}</td>
      <td className="dim nowrap">{row.updatedAt ? <Time at={row.updatedAt} /> : '–'}</td>
    </tr>
  );
}

/** Whether a segment is in effect: it may be active, but outside the period in which it is valid. */
export function StatusBadge({ segment: { isActive, status } }: { segment: SegmentRowFragment }) {
  if (isActive) return <Badge tone="good">Active</Badge>;
  if (status === 'ACTIVE') return <Badge title="Active, but outside the period in which it is valid">Not valid now</Badge>;
  return <Badge>{titled(status)}</Badge>;
}

const ORIGINS: Record<string, string> = {
  CACHED: 'Read a few seconds ago',
  STALE: 'The provider does not answer: this is its last reply',
  RECORDED: 'From the gateway’s own record: the provider cannot be read',
};

/** Where a row comes from, unless it is live. */
export function OriginBadge({ origin }: { origin: string }) {
  if (origin === 'LIVE' || origin === 'CACHED') return null;
  return (
    <Badge tone={origin === 'STALE' ? 'warn' : 'info'} title={ORIGINS[origin]!}>
      {origin.toLowerCase()}
    </Badge>
  );
}
