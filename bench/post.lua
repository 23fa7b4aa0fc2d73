-- wrk's script: POSTs the bodies in the file $BENCH_BODIES, one a line, in turn. All connections of
-- its one thread take from the same sequence, so requests in flight are different ones. With
-- $BENCH_NEW, @NEW@ in a body becomes a name that was never sent before. With $BENCH_TRACED each
-- request has a traceparent of its own, as those that come through a proxy.
local bodies = {}
for line in io.lines(os.getenv("BENCH_BODIES")) do bodies[#bodies + 1] = line end
local new = os.getenv("BENCH_NEW")
local traced = os.getenv("BENCH_TRACED")
local sent = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json"
wrk.headers["Authorization"] = os.getenv("BENCH_AUTHORIZATION")

if #bodies == 1 and not new and not traced then
  wrk.body = bodies[1] -- wrk formats it once
else
  function request()
    local body = bodies[sent % #bodies + 1]
    sent = sent + 1
    if new then body = string.gsub(body, "@NEW@", new .. "_" .. sent) end
    if traced then
      wrk.headers["Traceparent"] = string.format("00-%032x-%016x-00", sent, sent)
    end
    return wrk.format(nil, nil, nil, body)
  end
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format("FIGURES %d %d %d %.1f %.1f %d\n", summary.requests, summary.duration,
    summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
