// urql with its usual exchanges.

import { Client, cacheExchange, fetchExchange } from "@urql/core";

const [url, authorization, body] = process.argv.slice(2);

const client = new Client({
  url,
  exchanges: [cacheExchange, fetchExchange],
  fetchOptions: { headers: { authorization } },
  preferGetMethod: false,
});
const { data, error } = await client.query(JSON.parse(body).query, {}).toPromise();
if (error) throw error;
console.log(JSON.stringify({ data }));
