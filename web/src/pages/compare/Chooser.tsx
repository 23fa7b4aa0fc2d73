import { useId, useState } from 'react';
import { useQuery } from 'urql';
import { Partial } from '../components/states';
import { type SegmentRowFragment, SegmentChoicesDocument } from '../generated';

/** With so many chosen, the result counts more than what else there is. */
const ENOUGH = 2;

interface Props {
  chosen: readonly SegmentRowFragment[];
  isFull: boolean;
  onAdd: (id: string) => void;
  onRemove: (id: string) => void;
}

/** The chosen segments as chips, and a search for more. */
export function Chooser({ chosen, isFull, onAdd, onRemove }: Props) {
  const [search, setSearch] = useState('');
  const id = useId();
  const variables = { filter: search ? { nameContains: search } : {} };
  const [{ data }] = useQuery({ query: SegmentChoicesDocument, variables, pause: isFull });
  const choices = (data?.segments.nodes ?? []).filter((each) => !chosen.some((other) => other.id === each.id));
  return (
    <div className="chooser">
      <ul className="chips" aria-label="Chosen segments">
        {chosen.map((segment) => (
          <li key={segment.id}>
            {segment.name} <span className="dim">{segment.provider.displayName}</span>
            <button type="button" className="quiet" aria-label={`Remove ${segment.name}`} onClick={() => onRemove(segment.id)}>
              ×
            </button>
          </li>
        ))}
      </ul>
      {!isFull && (
        <>
          <label htmlFor={id}>Add a segment</label>
          <input id={id} type="search" placeholder="Name contains" value={search} onChange={({ target }) => setSearch(target.value)} />
          <ul className="choices" aria-label="Segments to add">
            {(search || chosen.length < ENOUGH ? choices.slice(0, 12) : []).map((segment) => (
              <li key={segment.id}>
                <button type="button" onClick={() => (setSearch(''), onAdd(segment.id))}>
                  {segment.name} <span className="dim">{segment.provider.displayName}</span>
                </button>
              </li>
            ))}
          </ul>
          {data && <Partial sources={data.segments.sources} />}
        </>
      )}
    </div>
  );
}
