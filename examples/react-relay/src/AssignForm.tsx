import { type FormEvent, useState } from "react";
import { graphql, useFragment, useLazyLoadQuery } from "react-relay/hooks";
import type { AssignForm_person$key } from "./__generated__/AssignForm_person.graphql";
import type { AssignFormQuery } from "./__generated__/AssignFormQuery.graphql";
import type { Segment } from "./useAssign";

interface Properties {
  person: AssignForm_person$key;
  onAssign: (customerId: string, segment: Segment) => void;
  problems: string[];
}

const query = graphql`
  query AssignFormQuery {
    providers {
      key
      capabilities {
        operation
        supported
      }
    }
    segments(first: 250, filter: { membership: [MANUAL] }, sortKey: NAME) {
      nodes {
        id
        name
        provider {
          id
          key
          displayName
        }
      }
    }
  }
`;

/** Offer the segments that this person can be assigned to: of providers that can do it, and that have a customer of this person. */
export function AssignForm({ person: key, onAssign, problems }: Properties) {
  const person = useFragment(
    graphql`
      fragment AssignForm_person on Person {
        customers {
          id
          identities {
            provider {
              key
            }
          }
        }
        segments(first: 250) @connection(key: "PersonView_segments") {
          edges {
            node {
              id
            }
          }
        }
      }
    `,
    key,
  );
  const { providers, segments } = useLazyLoadQuery<AssignFormQuery>(query, {});
  const [segmentId, setSegmentId] = useState("");

  const able = providers.filter(({ capabilities }) =>
    capabilities.some(({ operation, supported }) => operation === "ASSIGNMENT_CREATE" && supported),
  );
  const customerIds = new Map(
    person.customers.flatMap(({ id, identities }) => identities.map(({ provider }) => [provider.key, id] as const)),
  );
  const assigned = new Set(person.segments?.edges.map(({ node }) => node.id));
  const choices = segments.nodes.filter(
    ({ id, provider }) =>
      !assigned.has(id) && customerIds.has(provider.key) && able.some(({ key }) => key === provider.key),
  );
  const chosen = choices.find(({ id }) => id === segmentId);

  function submit(event: FormEvent) {
    event.preventDefault();
    const customerId = customerIds.get(chosen?.provider.key ?? "");
    if (chosen && customerId) onAssign(customerId, chosen);
  }

  return (
    <form onSubmit={submit}>
      <label>
        Assign to{" "}
        <select value={chosen?.id ?? ""} onChange={({ target }) => setSegmentId(target.value)}>
          <option value="" />
          {choices.map(({ id, name, provider }) => (
            <option key={id} value={id}>
              {name} ({provider.displayName})
            </option>
          ))}
        </select>
      </label>{" "}
      <button disabled={!chosen}>Assign</button>
      {problems.map((problem) => (
        <p key={problem} role="alert">
          {problem}
        </p>
      ))}
    </form>
  );
}
