import { useState } from 'react';
import { useMutation } from 'urql';
import { Badge, type Tone } from '../components/Badge';
import { Time } from '../components/Time';
import {
  DecideLinkDocument,
  LinkCustomersDocument,
  type LinkRowFragment,
  type PersonCardFragment,
  UnlinkCustomersDocument,
} from '../generated';
import { LinkSearch } from './LinkSearch';

const STATES: Record<LinkRowFragment['state'], [Tone, string]> = {
  ACTIVE: ['good', 'Linked'],
  PROPOSED: ['warn', 'Proposed'],
  BLOCKED: ['plain', 'Kept apart'],
};

/** Why these customers are one person, and what can be done about it. */
export function Links({ person, onChange }: { person: PersonCardFragment; onChange: () => void }) {
  const [problem, setProblem] = useState('');
  const [, unlink] = useMutation(UnlinkCustomersDocument);
  const [, decide] = useMutation(DecideLinkDocument);
  const [, link] = useMutation(LinkCustomersDocument);

  /** Show what a mutation complains about; without complaints read the person anew. */
  function settle(errors: readonly { message: string }[] | undefined, failure: { message: string } | undefined) {
    const message = failure?.message ?? errors?.[0]?.message ?? '';
    setProblem(message);
    if (!message) onChange();
  }

  async function take(row: LinkRowFragment, accept: boolean) {
    if (row.state === 'PROPOSED') {
      const { data, error } = await decide({ input: { linkId: row.id, accept } });
      settle(data?.identityLinkDecide?.userErrors, error);
    } else {
      const { data, error } = await unlink({ input: { linkId: row.id } });
      settle(data?.customersUnlink?.userErrors, error);
    }
  }

  async function add(other: string) {
    const { data, error } = await link({ input: { customerIds: [person.customers[0]!.id, other] } });
    settle(data?.customersLink?.userErrors, error);
  }

  return (
    <section aria-labelledby="links">
      <h2 id="links">Links</h2>
      {person.links?.length ? (
        <ul className="changes">
          {person.links.map((row) => (
            <li key={row.id}>
              <Badge tone={STATES[row.state][0]}>{STATES[row.state][1]}</Badge>
              <span className="grow">
                <End end={row.a} /> and <End end={row.b} />
              </span>
              <span className="dim">
                {row.rule ? `by rule ${row.rule}` : `by hand${row.createdBy ? ` (${row.createdBy})` : ''}`} ·{' '}
                <Time at={row.createdAt} />
              </span>
              {row.state === 'PROPOSED' && (
                <button type="button" onClick={() => void take(row, true)}>
                  Accept
                </button>
              )}
              {row.state !== 'BLOCKED' && (
                <button type="button" onClick={() => void take(row, false)}>
                  {row.state === 'PROPOSED' ? 'Reject' : 'Unlink'}
                </button>
              )}
            </li>
          ))}
        </ul>
      ) : (
        <p className="dim">No other customer is linked to this one.</p>
      )}
      {problem && (
        <p className="bad" role="alert">
          {problem}
        </p>
      )}
      <LinkSearch ownIds={person.customers.map(({ id }) => id)} onLink={(id) => void add(id)} />
    </section>
  );
}

function End({ end }: { end: LinkRowFragment['a'] }) {
  if (!end) return <span className="dim">a customer that cannot be read</span>;
  const identity = end.identities[0];
  return (
    <>
      {end.name ?? identity?.externalId} <span className="dim">({identity?.provider.displayName})</span>
    </>
  );
}
