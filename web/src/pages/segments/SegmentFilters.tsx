import { titled } from '../components/format';
import type { ProviderNameFragment } from '../generated';
import { MEMBERSHIPS, type Shown, STATUSES } from './searchParameters';

interface Props {
  shown: Shown;
  providers: readonly ProviderNameFragment[];
  onChange: (change: globalThis.Partial<Shown>) => void;
}

export function SegmentFilters({ shown, providers, onChange }: Props) {
  return (
    <form className="filters" role="search" aria-label="Segments" onSubmit={(event) => event.preventDefault()}>
      <label>
        <span>Name contains</span>
        <input type="search" value={shown.search} onChange={({ target }) => onChange({ search: target.value })} />
      </label>
      <label>
        <span>Provider</span>
        <select className="provider" value={shown.provider} onChange={({ target }) => onChange({ provider: target.value })}>
          <option value="">All</option>
          {providers.map(({ key, displayName }) => (
            <option key={key} value={key}>
              {displayName} ({key})
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Membership</span>
        <select value={shown.membership} onChange={({ target }) => onChange({ membership: target.value as Shown['membership'] })}>
          <option value="">All</option>
          {MEMBERSHIPS.map((kind) => (
            <option key={kind} value={kind}>
              {titled(kind)}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Status</span>
        <select value={shown.status} onChange={({ target }) => onChange({ status: target.value as Shown['status'] })}>
          <option value="">All</option>
          {STATUSES.map((status) => (
            <option key={status} value={status}>
              {titled(status)}
            </option>
          ))}
        </select>
      </label>
    </form>
  );
}
