import { useId, useState } from 'react';
import { useQuery } from 'urql';
import { Failure, Partial } from '../components/states';
import { type SegmentRowFragment, SegmentChoicesDocument } from '../generated';

/** With so many chosen, the result counts more than what else there is. */
const ENOUGH = 2;
const MOST_SHOWN = 12;

interface Props {
  ids: readonly string[];
  /** Those of them that exist, as far as they are read. */
  chosen: readonly SegmentRowFragment[];
  areRead: boolean;
  isFull: boolean;
  onAdd: (id: string) => void;
  onRemove: (id: string) => void;
}

/** The chosen segments as chips, and a search for more. */
export function Chooser({ ids, chosen, areRead, isFull, onAdd, onRemove }: Props) {
  return (
    <div className="chooser">
      <ul className="chips" aria-label="Chosen segments">
        {ids.map((id) => (
          <Chip key={id} segment={chosen.find((each) => each.id === id)} isRead={areRead} onRemove={() => onRemove(id)} />
        ))}
      </ul>
      {isFull ? <p className="dim">More cannot be compared at once.</p> : <Search ids={ids} onAdd={onAdd} />}
    </div>
  );
}

interface ChipProps {
  segment: SegmentRowFragment | undefined;
  isRead: boolean;
  onRemove: () => void;
}

function Chip({ segment, isRead, onRemove }: ChipProps) {
  const name = segment?.name ?? (isRead ? 'A segment that is gone' : '…');
  return (
    <li className={segment || isRead ? undefined : 'unread'}>
      <span className="name" title={name}>
        {name}
      </span>{' '}
      <span className="dim">{segment?.provider.displayName}</span>
      <button type="button" className="quiet" aria-label={`Remove ${name}`} onClick={onRemove}>
        ×
      </button>
    </li>
  );
}

function Search({ ids, onAdd }: { ids: readonly string[]; onAdd: (id: string) => void }) {
  const [search, setSearch] = useState('');
  const id = useId();
  return (
    <>
      <label htmlFor={id}>Add a segment</label>
      <input id={id} type="search" placeholder="Name contains" value={search} onChange={({ target }) => setSearch(target.value)} />
      {(search || ids.length < ENOUGH) && <Choices search={search} ids={ids} onAdd={(each) => (setSearch(''), onAdd(each))} />}
    </>
  );
}

function Choices({ search, ids, onAdd }: { search: string; ids: readonly string[]; onAdd: (id: string) => void }) {
  const variables = { filter: search ? { nameContains: search } : {} };
  const [{ data, error }] = useQuery({ query: SegmentChoicesDocument, variables });
  if (!data) return error ? <Failure error={error} /> : null;
  const choices = data.segments.nodes.filter((each) => !ids.includes(each.id)).slice(0, MOST_SHOWN);
  return (
    <>
      <ul className="choices" aria-label="Segments to add">
        {choices.map((segment) => (
          <li key={segment.id}>
            <button type="button" onClick={() => onAdd(segment.id)}>
              {segment.name} <span className="dim">{segment.provider.displayName}</span>
            </button>
          </li>
        ))}
      </ul>
      {!choices.length && <p className="dim">No other segment has a name like this.</p>}
      <Partial sources={data.segments.sources} />
    </>
  );
}
