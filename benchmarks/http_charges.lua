-- For wrk: POST /credit/charge with a fresh idempotency key (UUIDv7, growing with time) for every request.
-- Arguments: a file with one owner token a line, and a seed. Prints one line of JSON.

local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds, microseconds; } time; int gettimeofday(time *now, void *zone);")

local BODY = '{"amount_yen": 3}'
local now = ffi.new("time")
local heads = {}

function init(args)
  math.randomseed(tonumber(args[2]))
  for token in io.lines(args[1]) do
    heads[#heads + 1] = "POST /credit/charge HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " .. token
      .. "\r\nContent-Type: application/json\r\nContent-Length: " .. #BODY .. "\r\nIdempotency-Key: "
  end
end

function request()
  ffi.C.gettimeofday(now, nil)
  local ms = tonumber(now.seconds) * 1000 + math.floor(tonumber(now.microseconds) / 1000)
  local key = string.format("%08x-%04x-7%03x-8%03x-%06x%06x", math.floor(ms / 65536), ms % 65536,
    math.random(0, 4095), math.random(0, 4095), math.random(0, 16777215), math.random(0, 16777215))
  return heads[math.random(#heads)] .. key .. "\r\n\r\n" .. BODY
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format('{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "not_200": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
