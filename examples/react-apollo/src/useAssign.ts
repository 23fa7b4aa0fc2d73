import { useMutation } from "@apollo/client/react";
import { useState } from "react";
import { AssignDocument, PersonDocument, type PersonQueryVariables, type SegmentNameFragment } from "./gql/graphql";
import { keyOf, settle } from "./idempotency";
import { withSegment } from "./person";

/** Assign a segment to a customer: `saving` is its id meanwhile, `problems` say why it was not done. */
export function useAssign(variables: PersonQueryVariables) {
  const [mutate, { loading, data, error }] = useMutation(AssignDocument, {
    errorPolicy: "all",
    // Runs for the optimistic response, which Apollo discards when the real one arrives, and again for that one.
    update(cache, { data }) {
      const segment = data?.assignmentCreate?.assignment?.segment;
      if (!segment) return;
      cache.updateQuery({ query: PersonDocument, variables }, (person) => withSegment(person, segment));
    },
  });
  const [segmentId, setSegmentId] = useState<string | null>(null);

  async function assign(customerId: string, segment: SegmentNameFragment) {
    setSegmentId(segment.id);
    const change = `assign ${customerId} ${segment.id}`;
    const assignment = { __typename: "Assignment", id: "optimistic", segment };
    const result = await mutate({
      variables: { input: { customerId, segmentId: segment.id, idempotencyKey: keyOf(change) } },
      optimisticResponse: { assignmentCreate: { assignment, userErrors: [] } },
    });
    const payload = result.data?.assignmentCreate;
    if (payload) settle(change, payload.userErrors);
  }

  const problems = data?.assignmentCreate?.userErrors.map(({ message }) => message) ?? [];
  if (error) problems.push(error.message);
  return { assign, saving: loading ? segmentId : null, problems };
}
