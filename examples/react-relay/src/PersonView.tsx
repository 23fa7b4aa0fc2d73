import { Suspense } from "react";
import { graphql, useFragment } from "react-relay/hooks";
import type { PersonView_person$data, PersonView_person$key } from "./__generated__/PersonView_person.graphql";
import { AssignForm } from "./AssignForm";
import { useAssign } from "./useAssign";
import { useChanges } from "./useChanges";

interface Properties {
  person: PersonView_person$key;
  after: string | null | undefined;
  refresh: () => void;
  onExpired: () => void;
}

export function PersonView({ person: key, after, refresh, onExpired }: Properties) {
  const person = useFragment(
    graphql`
      fragment PersonView_person on Person {
        ...AssignForm_person
        customers {
          id
          name
          email
          identities {
            externalId
            provider {
              displayName
            }
          }
        }
        segments(first: 250) @connection(key: "PersonView_segments") {
          __id
          edges {
            node {
              id
              name
              provider {
                displayName
              }
            }
          }
          sources {
            provider {
              displayName
            }
            error {
              code
              message
            }
          }
        }
        sources {
          provider {
            displayName
          }
          error {
            code
            message
          }
        }
      }
    `,
    key,
  );
  const { changes, end } = useChanges(person.customers, after, refresh, onExpired);
  const { assign, saving, problems } = useAssign(person.segments?.__id);

  return (
    <article>
      <h2>{person.customers.find(({ name }) => name)?.name ?? "Without a name"}</h2>
      {[...failuresOf(person)].map(([provider, reason]) => (
        <p key={provider} role="alert">
          {provider} is missing: {reason}
        </p>
      ))}
      <h3 id="customers">Customers</h3>
      <ul aria-labelledby="customers">
        {person.customers.map(({ id, email, identities }) => (
          <li key={id}>
            {identities[0]?.provider.displayName} {identities[0]?.externalId} {email}
          </li>
        ))}
      </ul>
      <h3 id="segments">Segments</h3>
      <ul aria-labelledby="segments">
        {person.segments?.edges.map(({ node: { id, name, provider } }) => (
          <li key={id} aria-busy={id === saving}>
            {name} ({provider.displayName}){id === saving && " – saving …"}
          </li>
        ))}
      </ul>
      <Suspense fallback={<p>Loading …</p>}>
        <AssignForm person={person} onAssign={assign} problems={problems} />
      </Suspense>
      <h3 id="changes">Changes</h3>
      {end && <p role="alert">Changes are no longer shown: {end}</p>}
      <ul aria-labelledby="changes">
        {changes.map(({ id, kind, segment }) => (
          <li key={id}>
            {kind}: {segment?.name ?? "a deleted segment"}
          </li>
        ))}
      </ul>
    </article>
  );
}

/** Return the providers that failed, each with a reason; one that cannot look persons up has not failed. */
function failuresOf({ segments, sources }: PersonView_person$data): Map<string, string> {
  const failed = new Map<string, string>();
  for (const { provider, error } of [...sources, ...(segments?.sources ?? [])]) {
    if (error && error.code !== "UNSUPPORTED") failed.set(provider.displayName, error.message);
  }
  return failed;
}
