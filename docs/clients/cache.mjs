// What normalised caches need to know of this schema: for Apollo Client and for urql's Graphcache.

import { readFileSync } from "node:fs";

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf-8"));
const connections = read("connections.json");

/** Options of Apollo's `InMemoryCache`; give it `relayStylePagination` of `@apollo/client/utilities`. */
export const apolloCache = (relayStylePagination) => ({
  possibleTypes: read("possible-types.json"),
  typePolicies: Object.fromEntries(
    Object.entries(connections).map(([type, fields]) => [
      type,
      {
        fields: Object.fromEntries(
          Object.entries(fields).map(([field, keyArgs]) => [
            field,
            relayStylePagination(keyArgs.length ? keyArgs : false),
          ]),
        ),
      },
    ]),
  ),
});

/** `keys` of Graphcache's `cacheExchange`: these types have no id and belong to what they hang on. */
export const graphcacheKeys = Object.fromEntries(
  read("types-without-id.json").map((type) => [type, () => null]),
);
