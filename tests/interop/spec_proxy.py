"""A proxy that writes down each request and each answer between a client and `ftrun serve`, and what in them departs
from OpenAI's API document.

usage: spec_proxy.py FTRUN    a whole run of ftrun, and its other commands, through the proxy; exit code 1 when either
                              side departs from the document otherwise than on purpose (spec_check.DELIBERATE)
"""
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from spec_check import Spec, deliberate, path_of

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Proxy:
    """Forwards everything to upstream ("http://127.0.0.1:PORT/v1", may be changed) and checks it."""

    def __init__(self, upstream, bad_requests=False):
        """bad_requests: the client sends some on purpose; of those that are refused only the refusal counts."""
        self.upstream, self.spec, self.bad_requests = upstream, Spec(), bad_requests
        self.seen, self.findings, self.lock = Counter(), Counter(), threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def forward(self):
                outer.forward(self)

            do_GET = do_POST = do_DELETE = forward

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def read_body(self, handler):
        if handler.headers.get("transfer-encoding") != "chunked":
            return handler.rfile.read(int(handler.headers.get("content-length", 0)))
        body = b""
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body

    def forward(self, handler):
        body = self.read_body(handler)
        target = path_of(handler.path)
        upstream = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=120)
        try:
            upstream.request(handler.command, handler.path, body or None,
                             {k: v for k, v in handler.headers.items() if k.lower() not in HOP})
            answer = upstream.getresponse()
            data = answer.read()
        except OSError:
            handler.close_connection = True
            return
        finally:
            upstream.close()
        self.check(handler, target, body, answer, data)
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                handler.send_header(name, value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def check(self, handler, target, body, answer, data):
        try:
            operation, found = self.spec.check_request(handler.command, target,
                                                       handler.headers.get("content-type", ""), body)
            if answer.status >= 400 and self.bad_requests:
                found = []
            if operation:
                found += self.spec.check_answer(operation, answer.status, answer.getheader("content-type", ""), data)
        except Exception as e:  # a body that is no JSON, say
            operation, found = None, [f"{handler.command} {target}: {e!r}"]
        if not answer.getheader("x-request-id"):
            found.append("answer: no x-request-id")
        with self.lock:
            name = operation.id if operation else f"{handler.command} {urlsplit(target).path}"
            self.seen[f"{name} {answer.status}"] += 1
            for finding in found:
                if not deliberate(operation, finding):
                    self.findings[f"{name} {answer.status} {finding}"] += 1

    def report(self):
        """Prints what was seen; whether nothing departs."""
        for name, count in sorted(self.seen.items()):
            print(f"# {count:5} {name}")
        for finding, count in sorted(self.findings.items()):
            print(f"not ok {finding} ({count} times)")
        return not self.findings


RECIPE = """
return ft.recipe {
  name = "toy", base_model = "gpt-4o-mini-2024-07-18", suffix = "toy", seed = 7,
  dataset = ft.jsonl { path = "rows.jsonl", key = "id", example = function(row)
    return ft.chat { system = "Find the number.", user = row.text, assistant = row.answer }
  end },
  split = { validation = 0.2 },
  hyperparameters = { n_epochs = 2, batch_size = 4 },
}
"""


# What the local provider refuses: the request is as the document has it all the same.
METHOD = """
return ft.recipe {
  name = "%s", base_model = "%s", method = "%s", suffix = "method", seed = 7, %s
  dataset = ft.jsonl { path = "rows.jsonl", key = "id", example = function(row) return %s end },
  split = { validation = 0.2 },
  wandb = { project = "laws", entity = "team", run_name = "by method", tags = { "uk" }, openai_integration = true },
}
"""

DPO = ("gpt-4o-2024-08-06", "dpo", "hyperparameters = { beta = 0.1, n_epochs = 1 },",
       "ft.preference { user = row.text, preferred = row.answer, non_preferred = 'no' }")
REWARD = "ft.reinforcement { user = row.text, item = { answer = row.answer } }"
TEMPLATES = 'input = "{{sample.output_text}}", reference = "{{item.answer}}"'
GRADERS = {
    "string-check": "ft.string_check { %s, operation = 'eq' }" % TEMPLATES,
    "text-similarity": "ft.text_similarity { %s, evaluation_metric = 'fuzzy_match' }" % TEMPLATES,
    "python": "ft.python { source = 'def grade(sample, item): return 1.0', image_tag = '2025-05-08' }",
    "score-model": "ft.score_model { model = 'gpt-4o', range = { 0, 1 }, sampling_params = { temperature = 0, seed = 1 },"
                   " input = { { role = 'user', content = 'Right? {{sample.output_text}}' } } }",
}
HYPERPARAMETERS = """hyperparameters = { n_epochs = 1, batch_size = 4, learning_rate_multiplier = 0.5, eval_samples = 2,
  eval_interval = "auto", compute_multiplier = 1.5, reasoning_effort = "low" },"""


def methods():
    """Recipes by name."""
    yield "dpo", METHOD % ("dpo", *DPO)
    for name, grader in GRADERS.items():
        yield name, METHOD % (name, "o4-mini", "reinforcement", f"grader = {grader}, {HYPERPARAMETERS}", REWARD)


# Requests that no command makes on so little data: ftrun's modules with small limits, in place of its command line.
CLIENT = """
local fs, time = require "ft.fs", require "ft.time"
local providers, recipe = require "ftrun.providers", require "ftrun.recipe"
local request = require "ftrun.plan.request"
return function()
  local ok, e = pcall(function()
    local p = providers.open { name = "openai", file_bytes = 1000, part_bytes = 1000 }
    local file = p:put_file { path = "rows.jsonl", filename = "rows.jsonl", purpose = "fine-tune" }
    p:fetch_file(file.id, "back.jsonl")
    assert(fs.read "back.jsonl" == fs.read "rows.jsonl")
    assert(#p:files() > 0 and #p:files "fine-tune" > 0 and #p:models() > 0)
    for name in ("dpo string-check text-similarity python score-model"):gmatch "%S+" do
      local loaded <close> = recipe.load(name .. ".lua")
      local ok, e = pcall(p.create, p, request.of(loaded, file.id, file.id))
      assert(not ok and e.status == 400, tostring(e))
    end
    p:delete_file(file.id)
    local input = p:put_file { path = "requests.jsonl", filename = "requests.jsonl", purpose = "batch" }
    local batch = p:create_batch { input_file = input.id, metadata = { ftrun_run = "x" } }
    assert(p:find_batch { ftrun_run = "x" }.id == batch.id)
    pcall(p.cancel_batch, p, batch.id)
    while p:batch(batch.id).open do time.sleep(0.01) end
    p:chat { model = "gpt-4o-mini", temperature = 0, max_tokens = 5, response_format = { type = "json_object" },
      messages = { { role = "user", content = "x" } } }
    for _, job in ipairs((p:jobs { limit = 5 })) do if job.model then p:delete_model(job.model) end end
  end)
  if not ok then error(tostring(e), 0) end
  return 0
end
"""


class Program:
    """ftrun in a small project, as a client of the proxy."""

    def __init__(self, binary, folder, url):
        self.binary, self.folder, self.url = binary, Path(folder), url
        rows = [{"id": str(i), "text": f"Стаття {100 + i * 7}. Текст закону.", "answer": json.dumps({"number": str(100 + i * 7)})}
                for i in range(40)]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
        (self.folder / "toy.lua").write_text(RECIPE)

    def run(self, *args, codes=(0,), lua=None):
        done = subprocess.run([self.binary, *args], cwd=self.folder, text=True, capture_output=True, timeout=120,
                              stdin=subprocess.DEVNULL,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "NO_PROXY": "*",
                                   "OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": "sk-local",
                                   **({"FTRUN_LUA": lua} if lua else {})})
        good = done.returncode in codes
        print(("ok " if good else "not ok ") + "ftrun " + " ".join(args) + ("" if good else f": {done.returncode}\n{done.stderr}"),
              flush=True)
        if not good:
            sys.exit(1)
        return done.stdout


def batch_line(i):
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{i}"}]}
    return json.dumps({"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n"


def things(ftrun, files, model):
    """The commands over what is at the provider."""
    ftrun.run("files", "list", "--purpose", "fine-tune")
    ftrun.run("files", "get", files[0]["id"], "--output", "back")
    ftrun.run("files", "delete", files[-1]["id"], "--yes")
    ftrun.run("files", "delete", "file-nothing", "--yes", codes=(8,))
    ftrun.run("models")
    ftrun.run("models", "get", model)
    ftrun.run("batches")
    made = json.loads(ftrun.run("permissions", "create", model, "proj_a", "--json"))
    ftrun.run("permissions", "list", model)
    ftrun.run("permissions", "delete", model, made[0]["id"], "--yes")


def serve(binary, folder):
    process = subprocess.Popen([binary, "serve", "--port", "0", "--json", "--quiet", "--dir", folder], stdout=subprocess.PIPE,
                               text=True, cwd=folder)
    return process, json.loads(process.stdout.readline())["url"]


def main(binary):
    with tempfile.TemporaryDirectory(prefix="ftrun-spec") as folder:
        process, url = serve(binary, folder)
        try:
            proxy = Proxy(url)
            project = Path(folder) / "project"
            project.mkdir()
            ftrun = Program(binary, project, proxy.url)
            result = json.loads(ftrun.run("run", "toy.lua", "--yes", "--json").splitlines()[-1])
            ftrun.run("run", "toy.lua", "--yes", "--json")
            for command in ("status", "events", "watch", "cancel"):
                ftrun.run(command)
                ftrun.run(command, result["job"])
            ftrun.run("list", "--jobs")
            ftrun.run("chat", "Стаття 107. Текст.")
            ftrun.run("status", "ftjob-nothing", codes=(8,))
            for command in ("pause", "resume"):
                ftrun.run(command, codes=(8,))
            ftrun.run("checkpoints")
            ftrun.run("doctor")
            things(ftrun, json.loads(ftrun.run("files", "--json")), result["model"])
            for name, text in methods():
                (project / f"{name}.lua").write_text(text)
            ftrun.run("./dpo.lua", "--yes", codes=(8,))
            (project / "logged.lua").write_text(RECIPE.replace("seed = 7", 'seed = 8, wandb = { project = "laws", openai_integration = true }'))
            ftrun.run("run", "logged.lua", "--yes")
            train = project / result["dir"] / "train.jsonl"
            tune = json.loads(ftrun.run("tune", "--training-file", str(train), "--upload", "--n-epochs", "50",
                                        "--batch-size", "1", "--yes", "--json").splitlines()[-1])
            for command in ("pause", "resume", "cancel"):
                ftrun.run(command, tune["job"])
            (project / "requests.jsonl").write_text("".join(batch_line(i) for i in range(20)))
            (project / "lua" / "ftrun").mkdir(parents=True)
            (project / "lua" / "ftrun" / "cli.lua").write_text(CLIENT)
            ftrun.run(lua=str(project / "lua"))
            good = proxy.report()
        finally:
            process.terminate()
            process.wait(20)
        sys.exit(0 if good else 1)


if __name__ == "__main__":
    os.environ["NO_PROXY"] = "*"
    main(sys.argv[1])
