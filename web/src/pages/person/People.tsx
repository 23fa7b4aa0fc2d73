import { type FormEvent, useState } from 'react';
import { useQuery } from 'urql';
import { Link, useSearchParams } from 'wouter';
import { PageTitle } from '../components/PageTitle';
import { Empty, Failure, Loading } from '../components/states';
import { PeopleByDocument, PersonByDocument, ProviderChoicesDocument } from '../generated';
import { Person } from './Person';

/** Find a person by e-mail address, by a key of a provider, or by an id; all of it is in the address. */
export default function People() {
  const [parameters, setParameters] = useSearchParams();
  const [email, key, provider, id] = ['email', 'key', 'provider', 'id'].map((name) => parameters.get(name) ?? '');
  return (
    <section className="page">
      <PageTitle>Person</PageTitle>
      <Search
        key={parameters.toString()}
        email={email!}
        provider={provider!}
        externalId={key!}
        onSearch={(search) => setParameters(search)}
      />
      {id ? (
        <Found variables={{ id }} />
      ) : email ? (
        <ByEmail email={email} />
      ) : key ? (
        <Found variables={{ identity: { provider: provider!, externalId: key } }} />
      ) : (
        <Empty title="Find a person">Enter an e-mail address, or a key by which a provider knows the customer.</Empty>
      )}
    </section>
  );
}

interface SearchProps {
  email: string;
  provider: string;
  externalId: string;
  onSearch: (search: Record<string, string>) => void;
}

function Search({ email, provider, externalId, onSearch }: SearchProps) {
  const [{ data }] = useQuery({ query: ProviderChoicesDocument });
  const [text, setText] = useState(email || externalId);
  const [chosen, setChosen] = useState(provider);
  const choices = data?.providers ?? [];
  const isEmail = text.includes('@');

  function search(event: FormEvent) {
    event.preventDefault();
    const value = text.trim();
    onSearch(isEmail ? { email: value } : { provider: chosen || choices[0]?.key || '', key: value });
  }

  return (
    <form className="filters" role="search" aria-label="Person" onSubmit={search}>
      <label>
        <span>E-mail address, CRM id or document id</span>
        <input type="search" required value={text} onChange={({ target }) => setText(target.value)} />
      </label>
      {!isEmail && (
        <label>
          <span>A key at</span>
          <select className="provider" value={chosen} onChange={({ target }) => setChosen(target.value)}>
            {choices.map((each) => (
              <option key={each.key} value={each.key}>
                {each.displayName} ({each.key})
              </option>
            ))}
          </select>
        </label>
      )}
      <button type="submit" className="primary end">
        Find
      </button>
    </form>
  );
}

type Variables = { id: string } | { identity: { provider: string; externalId: string } } | { email: string };

function Found({ variables }: { variables: Variables }) {
  const [{ data, error }, read] = useQuery({ query: PersonByDocument, variables });
  const again = () => read({ requestPolicy: 'network-only' });
  if (data?.person) return <Person person={data.person} onChange={again} />;
  if (error) return <Failure error={error} onRetry={again} />;
  if (!data) return <Loading what="the person" rows={6} />;
  return (
    <Empty title="Nobody is known by this">
      {'email' in variables ? 'Check the spelling, or enter a key by which a provider knows the customer.' : 'Check the spelling, and at which provider the key is known.'}
    </Empty>
  );
}

/** One person, or several with the same address to choose from. */
function ByEmail({ email }: { email: string }) {
  const [{ data, error }, read] = useQuery({ query: PersonByDocument, variables: { email } });
  const areSeveral = !data?.person && error?.graphQLErrors[0]?.extensions['code'] === 'BAD_USER_INPUT';
  const [people] = useQuery({ query: PeopleByDocument, variables: { filter: { email } }, pause: !areSeveral });
  const again = () => read({ requestPolicy: 'network-only' });
  if (!areSeveral) return <Found variables={{ email }} />;
  if (!people.data) return people.error ? <Failure error={people.error} onRetry={again} /> : <Loading what="the people" />;
  return (
    <>
      <p>Several persons have this address:</p>
      <ul className="cards">
        {people.data.people?.nodes.map(({ id, customers }) => (
          <li key={id}>
            <article className="card">
              <h3>
                <Link href={`/person?id=${encodeURIComponent(id)}`}>{customers[0]?.name ?? 'No name'}</Link>
              </h3>
              <p className="dim">{customers.map((each) => each.identities[0]?.provider.displayName).join(', ')}</p>
            </article>
          </li>
        ))}
      </ul>
    </>
  );
}
