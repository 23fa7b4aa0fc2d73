import { useSearchParams } from 'wouter';
import type { MembershipKind, SegmentFilter, SegmentSortKey, SegmentStatus } from '../generated';

export const SORT_KEYS = ['PROVIDER', 'NAME', 'CREATED_AT', 'UPDATED_AT', 'PRIORITY'] as const satisfies readonly SegmentSortKey[];
export const MEMBERSHIPS = ['MANUAL', 'RULE', 'TAG'] as const satisfies readonly MembershipKind[];
export const STATUSES = ['ACTIVE', 'INACTIVE'] as const satisfies readonly SegmentStatus[];

/** What the table shows; all of it is in the address, so that it can be shared. */
export interface Shown {
  search: string;
  provider: string;
  membership: MembershipKind | '';
  status: SegmentStatus | '';
  sort: SegmentSortKey;
  reverse: boolean;
}

export function useShown(): [Shown, (change: globalThis.Partial<Shown>) => void] {
  const [parameters, setParameters] = useSearchParams();
  const shown: Shown = {
    search: parameters.get('search') ?? '',
    provider: parameters.get('provider') ?? '',
    membership: oneOf(MEMBERSHIPS, parameters.get('membership')),
    status: oneOf(STATUSES, parameters.get('status')),
    sort: oneOf(SORT_KEYS, parameters.get('sort')) || 'PROVIDER',
    reverse: parameters.get('reverse') === 'true',
  };

  function change(part: globalThis.Partial<Shown>) {
    const next = { ...shown, ...part };
    const entries = Object.entries(next).filter(([name, value]) => value && !(name === 'sort' && value === 'PROVIDER'));
    setParameters(Object.fromEntries(entries.map(([name, value]) => [name, String(value)])), { replace: true });
  }
  return [shown, change];
}

export function filterOf({ search, provider, membership, status }: Shown): SegmentFilter {
  return {
    ...(search && { nameContains: search }),
    ...(provider && { providers: [provider] }),
    ...(membership && { membership: [membership] }),
    ...(status && { status }),
  };
}

function oneOf<Value extends string>(values: readonly Value[], text: string | null): Value | '' {
  return values.find((value) => value === text) ?? '';
}
