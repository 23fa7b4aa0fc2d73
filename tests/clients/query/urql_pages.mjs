// urql reads a list page by page.

import { Client, cacheExchange, fetchExchange, gql } from "@urql/core";

const [url, authorization] = process.argv.slice(2);

const client = new Client({
  url,
  exchanges: [cacheExchange, fetchExchange],
  fetchOptions: { headers: { authorization } },
  preferGetMethod: false,
});
const PAGE = gql`
  query ($after: String) {
    segments(first: 3, after: $after, sortKey: NAME, filter: { providers: ["stuut"] }) {
      nodes { id name }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

async function* segments() {
  let after = null;
  do {
    const { data, error } = await client.query(PAGE, { after }).toPromise();
    if (error) throw error;
    yield* data.segments.nodes;
    after = data.segments.pageInfo.hasNextPage ? data.segments.pageInfo.endCursor : null;
  } while (after);
}

const all = [];
for await (const { id } of segments()) all.push(id);
console.log(JSON.stringify({ all: all.length, distinct: new Set(all).size }));
