// Subscriptions that go on where they were cut off. `client` is one of graphql-ws or graphql-sse that does not
// retry by itself; the operation has a variable `$after` and selects `cursor` of each change.

const GOES_ON = ["LAGGED", "SHUTTING_DOWN"];

export function resuming(client, delayMs = 1000) {
  function subscribe(payload, sink) {
    let after = payload.variables?.after;
    let stop, timer;
    function start() {
      let errors; // over server-sent events, those with which the server ends the subscription
      stop = client.subscribe({ ...payload, variables: { ...payload.variables, after } }, {
        next(result) {
          if ("data" in result) {
            for (const change of Object.values(result.data ?? {})) after = change?.cursor ?? after;
            sink.next(result);
          } else errors = result.errors;
        },
        error: over,
        complete: () => (errors ? over(errors) : sink.complete()),
      });
    }
    function over(error) {
      if (isCutOff(error)) timer = setTimeout(start, delayMs);
      else sink.error(error);
    }
    start();
    return () => (clearTimeout(timer), stop());
  }
  return { ...client, subscribe };
}

function isCutOff(error) {
  if (Array.isArray(error)) {
    const { code, retryable } = error[0]?.extensions ?? {};
    return retryable || GOES_ON.includes(code);
  }
  const isRefused = (error.code >= 4400 && error.code < 4499) || error.response?.status < 500;
  return !isRefused; // else the network failed, or the server is gone
}
