// The function of the how-to about errors, asked for one customer.

import { ask } from "../../../docs/how-to/ask.mjs";

const [url, authorization, body] = process.argv.slice(2);

console.log(JSON.stringify(await ask(url, authorization, JSON.parse(body))));
