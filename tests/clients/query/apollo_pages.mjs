// Apollo Client pages through a list by the cache that docs/clients describes.

import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";

import { apolloCache, graphcacheKeys } from "../../../docs/clients/cache.mjs";

const [uri, authorization] = process.argv.slice(2);
const query = gql`
  query ($after: String) {
    segments(first: 3, after: $after, sortKey: NAME, filter: { providers: ["stuut"] }) {
      edges { cursor node { id } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
`;
const client = new ApolloClient({
  cache: new InMemoryCache(apolloCache(relayStylePagination)),
  link: new HttpLink({ uri, headers: { authorization } }),
});
// As `fetchMore` does: the pages share one place in the cache.
const page = (after) =>
  client.query({ query, variables: { after }, fetchPolicy: "network-only" });
const { data } = await page("");
await page(data.segments.pageInfo.endCursor);
const { edges } = client.readQuery({ query, variables: { after: "" } }).segments;
const distinct = new Set(edges.map((edge) => edge.node.__ref ?? edge.node.id)).size;
const embedded = graphcacheKeys.Count();
console.log(JSON.stringify({ first: data.segments.edges.length, all: edges.length, distinct, embedded }));
