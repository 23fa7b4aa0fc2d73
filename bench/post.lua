-- wrk's script: POSTs the bodies in the file $BENCH_BODIES, one a line, in turn. With
-- $BENCH_FRESH, every tenth body is a document that was never sent before. With $BENCH_TRACED each
-- request has a header of its own, as those that come through a tracing proxy.
local bodies = {}
for line in io.lines(os.getenv("BENCH_BODIES")) do bodies[#bodies + 1] = line end
local fresh = os.getenv("BENCH_FRESH")
local traced = os.getenv("BENCH_TRACED")
local sent = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json"
wrk.headers["Authorization"] = os.getenv("BENCH_AUTHORIZATION")

if #bodies == 1 and not fresh and not traced then
  wrk.body = bodies[1] -- wrk formats it once
else
  function request()
    sent = sent + 1
    local body = bodies[sent % #bodies + 1]
    if fresh and sent % 10 == 0 then body = '{"query":"{ f' .. sent .. ': __typename }"}' end
    if traced then wrk.headers["Traceparent"] = "00-" .. sent end
    return wrk.format(nil, nil, nil, body)
  end
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format("FIGURES %d %d %d %.1f %.1f %d\n", summary.requests, summary.duration,
    summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
