import { useState } from "react";
import { useMutation } from "urql";
import { AssignDocument } from "./gql/graphql";
import { keyOf, settle } from "./idempotency";

/** Assign a segment to a customer: `saving` is its id meanwhile, `problems` say why it was not done. */
export function useAssign() {
  const [{ fetching, data, error }, execute] = useMutation(AssignDocument);
  const [segmentId, setSegmentId] = useState<string | null>(null);

  async function assign(customerId: string, segmentId: string) {
    setSegmentId(segmentId);
    const change = `assign ${customerId} ${segmentId}`;
    const result = await execute({ input: { customerId, segmentId, idempotencyKey: keyOf(change) } });
    const payload = result.data?.assignmentCreate;
    if (payload) settle(change, payload.userErrors);
  }

  const problems = data?.assignmentCreate?.userErrors.map(({ message }) => message) ?? [];
  if (error) problems.push(error.message);
  return { assign, saving: fetching ? segmentId : null, problems };
}
