import { ApolloClient, ApolloLink, type FieldPolicy, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import { createClient } from "graphql-ws";
import connections from "../../../docs/clients/connections.json";
import possibleTypes from "../../../docs/clients/possible-types.json";
import { resuming } from "../../../docs/clients/resuming.mjs";

const url: string = import.meta.env.VITE_GATEWAY_URL ?? "http://127.0.0.1:8000/graphql";

// The lists of the schema, each with the arguments that identify it.
const fieldPolicies: Record<string, Record<string, FieldPolicy>> = {};
for (const [type, lists] of Object.entries(connections)) {
  const paged = Object.entries<string[]>(lists).map(
    ([field, keyArgs]) => [field, relayStylePagination(keyArgs.length > 0 ? keyArgs : false)] as const,
  );
  fieldPolicies[type] = Object.fromEntries(paged);
}
// Keys have no ids, and while a provider fails, only one of them may be known: the list is replaced as a whole.
fieldPolicies["Customer"] = { ...fieldPolicies["Customer"], identities: { merge: false } };
const typePolicies = Object.fromEntries(Object.entries(fieldPolicies).map(([type, fields]) => [type, { fields }]));

// A WebSocket. `resuming` reconnects from the cursor of the last change; graphql-ws itself would begin anew.
const socket = resuming(createClient({ url: url.replace(/^http/, "ws"), retryAttempts: 0 }));

export const client = new ApolloClient({
  cache: new InMemoryCache({ possibleTypes, typePolicies }),
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    new HttpLink({ uri: url }),
  ),
});
