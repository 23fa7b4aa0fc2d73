import { useState } from "react";
import { graphql, useMutation } from "react-relay/hooks";
import type { useAssignMutation } from "./__generated__/useAssignMutation.graphql";
import { keyOf, settle } from "./idempotency";

export interface Segment {
  id: string;
  name: string;
  provider: { id: string; key: string; displayName: string };
}

// `@appendNode` applies to the optimistic response, which Relay discards when the real one arrives, and again to that one.
const mutation = graphql`
  mutation useAssignMutation($input: AssignmentCreateInput!, $connections: [ID!]!) @raw_response_type {
    assignmentCreate(input: $input) {
      assignment {
        id
        segment @appendNode(connections: $connections, edgeTypeName: "SegmentEdge") {
          id
          name
          provider {
            id
            key
            displayName
          }
        }
      }
      userErrors {
        code
        message
      }
    }
  }
`;

/** Assign a segment to a customer: `saving` is its id meanwhile, `problems` say why it was not done. */
export function useAssign(connection: string | undefined) {
  const [commit, isInFlight] = useMutation<useAssignMutation>(mutation);
  const [segmentId, setSegmentId] = useState<string | null>(null);
  const [problems, setProblems] = useState<string[]>([]);

  function assign(customerId: string, segment: Segment) {
    setSegmentId(segment.id);
    setProblems([]);
    const change = `assign ${customerId} ${segment.id}`;
    commit({
      variables: {
        input: { customerId, segmentId: segment.id, idempotencyKey: keyOf(change) },
        connections: connection ? [connection] : [],
      },
      optimisticResponse: {
        assignmentCreate: { assignment: { id: "optimistic", segment }, userErrors: [] },
      },
      onCompleted({ assignmentCreate }, errors) {
        if (assignmentCreate) settle(change, assignmentCreate.userErrors);
        const all = [...(assignmentCreate?.userErrors ?? []), ...(errors ?? [])];
        setProblems(all.map(({ message }) => message));
      },
      onError: ({ message }) => setProblems([message]),
    });
  }

  return { assign, saving: isInFlight ? segmentId : null, problems };
}
