import { cacheExchange } from "@urql/exchange-graphcache";
import { createClient } from "graphql-sse";
import { Client, fetchExchange, subscriptionExchange } from "urql";
import { resuming } from "../../../docs/clients/resuming.mjs";
import typesWithoutId from "../../../docs/clients/types-without-id.json";
import {
  type AssignMutation,
  type AssignMutationVariables,
  PersonDocument,
  SegmentNameFragmentDoc,
} from "./gql/graphql";
import { withSegment } from "./person";

const url: string = import.meta.env.VITE_GATEWAY_URL ?? "http://127.0.0.1:8000/graphql";

const cache = cacheExchange({
  keys: Object.fromEntries(typesWithoutId.map((type) => [type, () => null])),
  optimistic: {
    assignmentCreate: ({ input }: AssignMutationVariables, store) => ({
      __typename: "AssignmentCreatePayload",
      assignment: {
        __typename: "Assignment",
        id: "optimistic",
        segment: store.readFragment(SegmentNameFragmentDoc, { __typename: "Segment", id: input.segmentId }),
      },
      userErrors: [],
    }),
  },
  updates: {
    Mutation: {
      // Runs for the optimistic result, which Graphcache discards when the real one arrives, and again for that one.
      assignmentCreate: (result: AssignMutation, { input }: AssignMutationVariables, store) => {
        const segment = result.assignmentCreate?.assignment?.segment;
        if (!segment) return;
        for (const { fieldName, arguments: variables } of store.inspectFields("Query")) {
          if (fieldName !== "person") continue;
          store.updateQuery({ query: PersonDocument, variables: variables ?? {} }, (data) =>
            withSegment(data, input.customerId, segment),
          );
        }
      },
    },
  },
});

// Server-sent events. `resuming` reconnects from the cursor of the last change; graphql-sse itself would begin anew.
const events = resuming(createClient({ url, retryAttempts: 0 }));

export const client = new Client({
  url,
  // A browser may take the response to a GET from its own cache, which does not know of changes.
  preferGetMethod: false,
  exchanges: [
    cache,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query = "", variables }) => ({
        subscribe: (sink) => ({ unsubscribe: events.subscribe({ query, variables }, sink) }),
      }),
    }),
  ],
});
