import type { GraphQLFormattedError } from "graphql";
import { useMemo, useState } from "react";
import { graphql, useSubscription } from "react-relay/hooks";
import type { GraphQLSubscriptionConfig } from "relay-runtime";
import type {
  useChangesSubscription,
  useChangesSubscription$data,
} from "./__generated__/useChangesSubscription.graphql";

type Change = NonNullable<useChangesSubscription$data["changed"]>;

const subscription = graphql`
  subscription useChangesSubscription($after: String, $customerIds: [ID!]!) {
    changed(after: $after, filter: { customerIds: $customerIds, kinds: [ENTERED, LEFT] }) {
      id
      cursor
      kind
      ... on AssignmentChange {
        segment {
          name
        }
      }
    }
  }
`;

/** Follow the changes of some customers; `end` says why, if they are no longer followed. */
export function useChanges(
  customers: readonly { readonly id: string }[],
  after: string | null | undefined,
  onChange: () => void,
  onExpired: () => void,
) {
  const [changes, setChanges] = useState<Change[]>([]);
  const [end, setEnd] = useState<string | null>(null);
  const config = useMemo<GraphQLSubscriptionConfig<useChangesSubscription>>(
    () => ({
      subscription,
      variables: { after, customerIds: customers.map(({ id }) => id) },
      onNext(data) {
        if (!data?.changed) return;
        const { changed } = data;
        // If the person gets another customer, the changes since the first cursor arrive again.
        setChanges((changes) => (changes.some(({ id }) => id === changed.id) ? changes : [changed, ...changes]));
        onChange();
      },
      onError(error) {
        // A list of GraphQL errors if the server ended the subscription.
        const [first] = (Array.isArray(error) ? error : [error]) as GraphQLFormattedError[];
        if (first?.extensions?.["code"] === "CURSOR_EXPIRED") onExpired();
        else setEnd(first?.message ?? "The connection was closed.");
      },
    }),
    [customers, after, onChange, onExpired],
  );
  useSubscription(config);
  return { changes, end };
}
