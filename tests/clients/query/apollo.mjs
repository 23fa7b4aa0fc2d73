// Apollo Client with its usual link.

import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";

const [uri, authorization, body] = process.argv.slice(2);

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: new HttpLink({ uri, headers: { authorization } }),
});
const { data } = await client.query({ query: gql(JSON.parse(body).query) });
console.log(JSON.stringify({ data }));
