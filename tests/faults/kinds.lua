--- What can go wrong with a request at the local server: words for a test's name, and the fault as local/faults.lua
--- plays it.
return {
  { "breaks before it is looked at", { kind = "lose", before = true } },
  { "breaks after the server has done it", { kind = "lose" } },
  { "gets half an answer", { kind = "half" } },
  { "gets 429", { kind = "refuse", headers = { ["retry-after"] = "0.05" } } },
  { "gets 500", { kind = "refuse", status = 500 } },
  { "gets 500 after the server has done it", { kind = "forget" } },
  { "gets 503 with Retry-After", { kind = "refuse", status = 503, headers = { ["retry-after"] = "0.05" } } },
  { "stalls", { kind = "stall", seconds = 2, before = true } },
  { "stalls after the server has done it", { kind = "stall", seconds = 2 } },
  { "is answered byte by byte for ever", { kind = "slow", seconds = 0.1 } },
  { "gets an answer that is no JSON", { kind = "garble" } },
  { "gets an answer of 10 GB", { kind = "flood" } },
}
