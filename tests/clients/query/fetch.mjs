// Node's own fetch (undici), as it is.

const [url, authorization, body] = process.argv.slice(2);

const answer = await fetch(url, {
  method: "POST",
  headers: { authorization, "content-type": "application/json" },
  body,
});
console.log(await answer.text());
