import { type FormEvent, useState } from 'react';
import { useQuery } from 'urql';
import { Empty, Failure, Loading } from '../components/states';
import { CustomersToLinkDocument } from '../generated';

/** Finds another customer by name, e-mail address or key, to be linked to this person. */
export function LinkSearch({ ownIds, onLink }: { ownIds: readonly string[]; onLink: (id: string) => void }) {
  const [text, setText] = useState('');
  const [search, setSearch] = useState('');

  function start(event: FormEvent) {
    event.preventDefault();
    setSearch(text.trim());
  }

  return (
    <>
      <form className="filters" onSubmit={start} role="search" aria-label="Another customer">
        <label>
          <span>Link another customer: name or e-mail address</span>
          <input type="search" required value={text} onChange={({ target }) => setText(target.value)} />
        </label>
        <button type="submit" className="end">
          Search
        </button>
      </form>
      {search && <Results search={search} ownIds={ownIds} onLink={onLink} />}
    </>
  );
}

function Results({ search, ownIds, onLink }: { search: string; ownIds: readonly string[]; onLink: (id: string) => void }) {
  const filter = search.includes('@') ? { email: search } : { nameContains: search };
  const [{ data, error }] = useQuery({ query: CustomersToLinkDocument, variables: { filter } });
  if (!data) return error ? <Failure error={error} /> : <Loading what="the customers" />;
  const others = data.customers.nodes.filter(({ id }) => !ownIds.includes(id));
  if (!others.length) return <Empty title="No other customer is known by this">Where names cannot be searched, use the e-mail address.</Empty>;
  return (
    <ul className="changes" aria-label="Customers to link">
      {others.map(({ id, name, email, identities: [identity] }) => (
        <li key={id}>
          <span className="grow">
            {name ?? identity?.externalId} <span className="dim">{[email, identity?.provider.displayName].filter(Boolean).join(' · ')}</span>
          </span>
          <button type="button" aria-label={`Link ${name ?? identity?.externalId ?? ''} at ${identity?.provider.displayName ?? ''}`} onClick={() => onLink(id)}>
            Link
          </button>
        </li>
      ))}
    </ul>
  );
}
