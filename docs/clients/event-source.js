// Changes by a browser's own EventSource, where nobody signs in. When it is cut off it connects again by itself,
// and sends the cursor of the last event.

function follow(query, variables, show) {
  const parameters = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const source = new EventSource(`/graphql?${parameters}`);
  source.addEventListener("next", ({ data }) => {
    const result = JSON.parse(data);
    const { code, retryable } = ("data" in result ? null : result.errors[0].extensions) ?? {};
    if (code && !retryable && !["LAGGED", "SHUTTING_DOWN"].includes(code)) source.close();
    show(result);
  });
  return () => source.close();
}
