import type { ReactNode } from 'react';
import { Failure, Loading } from '../components/states';
import type { ChangeFilter } from '../generated';
import { ChangeList } from './ChangeList';
import { useLatestChanges } from './useLatestChanges';

interface Props {
  /** Must stay the same object for as long as it says the same. */
  filter: ChangeFilter;
  length: number;
  days?: number | null;
  withSegment?: boolean;
  /** Shown if there are none. */
  children: ReactNode;
}

/** The newest changes that match, live. */
export function LatestChanges({ filter, length, days = 1, withSegment, children }: Props) {
  const { changes, error } = useLatestChanges(filter, length, days);
  if (changes?.length) return <ChangeList changes={changes} withSegment={withSegment} />;
  if (error) return <Failure error={error} />;
  return changes ? children : <Loading what="the latest changes" />;
}
