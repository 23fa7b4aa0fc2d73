import { type FormEvent, useState } from "react";
import { useQuery } from "urql";
import { ChoicesDocument } from "./gql/graphql";
import type { Person } from "./person";

interface Properties {
  person: Person;
  onAssign: (customerId: string, segmentId: string) => void;
  problems: string[];
}

/** Offer the segments that this person can be assigned to: of providers that can do it, and that have a customer of this person. */
export function AssignForm({ person, onAssign, problems }: Properties) {
  const [{ data, error }] = useQuery({ query: ChoicesDocument });
  const [segmentId, setSegmentId] = useState("");

  const able = data?.providers.filter(({ capabilities }) =>
    capabilities.some(({ operation, supported }) => operation === "ASSIGNMENT_CREATE" && supported),
  );
  const customerIds = new Map(
    person.customers.flatMap(({ id, identities }) => identities.map(({ provider }) => [provider.key, id] as const)),
  );
  const assigned = new Set(person.segments?.nodes.map(({ id }) => id));
  const choices = data?.segments.nodes.filter(
    ({ id, provider }) =>
      !assigned.has(id) && customerIds.has(provider.key) && able?.some(({ key }) => key === provider.key),
  );
  const chosen = choices?.find(({ id }) => id === segmentId);

  function submit(event: FormEvent) {
    event.preventDefault();
    const customerId = customerIds.get(chosen?.provider.key ?? "");
    if (chosen && customerId) onAssign(customerId, chosen.id);
  }

  return (
    <form onSubmit={submit}>
      <label>
        Assign to{" "}
        <select value={chosen?.id ?? ""} onChange={({ target }) => setSegmentId(target.value)}>
          <option value="" />
          {choices?.map(({ id, name, provider }) => (
            <option key={id} value={id}>
              {name} ({provider.displayName})
            </option>
          ))}
        </select>
      </label>{" "}
      <button disabled={!chosen}>Assign</button>
      {[...problems, ...(error ? [error.message] : [])].map((problem) => (
        <p key={problem} role="alert">
          {problem}
        </p>
      ))}
    </form>
  );
}
