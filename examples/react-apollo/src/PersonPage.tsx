import { CombinedGraphQLErrors } from "@apollo/client";
import { skipToken, useQuery, useSubscription } from "@apollo/client/react";
import { useEffect, useState } from "react";
import { AssignForm } from "./AssignForm";
import { ChangedDocument, type ChangedSubscription, PersonDocument, type PersonQueryVariables } from "./gql/graphql";
import { failuresOf } from "./person";
import { useAssign } from "./useAssign";

interface Properties {
  variables: PersonQueryVariables;
  after: string | null;
  onExpired: () => void;
}

export function PersonPage({ variables, after, onExpired }: Properties) {
  const { data, error, loading, refetch } = useQuery(PersonDocument, {
    variables,
    fetchPolicy: "cache-and-network",
    errorPolicy: "all",
  });
  const [changes, setChanges] = useState<Change[]>([]);
  const customerIds = data?.person?.customers.map(({ id }) => id);
  const { error: end } = useSubscription(
    ChangedDocument,
    customerIds
      ? {
          variables: { after, customerIds },
          fetchPolicy: "no-cache",
          onData({ data: { data } }) {
            if (!data) return;
            setChanges((changes) => withChange(changes, data.changed));
            void refetch();
          },
        }
      : skipToken,
  );
  const { assign, saving, problems } = useAssign(variables);

  const code = CombinedGraphQLErrors.is(end) ? end.errors[0]?.extensions?.["code"] : null;
  useEffect(() => {
    if (code === "CURSOR_EXPIRED") onExpired();
  }, [code, onExpired]);

  // There may be data beside an error: what could not be read is null.
  const person = data?.person;
  if (!person) {
    if (error) return <p role="alert">{error.message}</p>;
    return <p>{loading ? "Loading …" : "Nobody is known by this."}</p>;
  }
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
      <AssignForm person={person} onAssign={assign} problems={problems} />
      <h3 id="changes">Changes</h3>
      {end && <p role="alert">Changes are no longer shown: {end.message}</p>}
      <ul aria-labelledby="changes">
        {changes.map((change) => (
          <li key={change.id}>
            {change.kind}: {"segment" in change ? (change.segment?.name ?? "a deleted segment") : ""}
          </li>
        ))}
      </ul>
    </article>
  );
}

type Change = ChangedSubscription["changed"];

function withChange(changes: Change[], change: Change): Change[] {
  // If the person gets another customer, the changes since the first cursor arrive again.
  return changes.some(({ id }) => id === change.id) ? changes : [change, ...changes];
}
