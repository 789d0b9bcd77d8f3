"""The official OpenAI client, unchanged, against `ftrun serve`: the whole story of a fine-tuning job.

usage: openai_client.py FTRUN    prints one line a check; exit code 1 at the first that fails
"""
import base64
import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import openai

from spec_proxy import Proxy

MODEL = "gpt-4o-mini-2024-07-18"


class Server:
    """`ftrun serve` behind a proxy that compares its answers with the API document."""

    proxy = None

    def __init__(self, program, folder, faults=()):
        self.process = subprocess.Popen(
            [program, "serve", "--port", "0", "--json", "--quiet", "--dir", folder], stdout=subprocess.PIPE,
            text=True, cwd=folder,
            env={**os.environ, "FTRUN_SERVE_FAULTS": json.dumps(faults)})
        first = self.process.stdout.readline()
        check("the server starts", '"listening"' in first, first)
        line = json.loads(first)
        Server.proxy = Server.proxy or Proxy(line["url"], bad_requests=True)
        Server.proxy.upstream = line["url"]
        self.client = openai.OpenAI(base_url=Server.proxy.url, api_key="local", max_retries=0, timeout=60)

    def end(self, how):
        self.process.send_signal(how)
        code = self.process.wait(20)
        self.process.stdout.close()
        return code


def check(what, value, detail=None):
    print(("ok " if value else "not ok ") + what + ("" if value else f": {detail!r}"), flush=True)
    if not value:
        sys.exit(1)


def example(i, words=0):
    number, act = str(i * 7 % 90 + 1), f"{i * 13 % 500 + 100}-IX"
    answer = {"elements": [{"type": "article", "number": number}],
              "relations": [{"type": "amends", "target_nreg": act}]}
    return {"messages": [
        {"role": "system", "content": 'Відповідай JSON: {"elements": [], "relations": []}'},
        {"role": "user", "content": f"Назва: Про зміни\n\nСтаття {number}. Внести зміни до закону {act} такі." + " слово" * words},
        {"role": "assistant", "content": json.dumps(answer, ensure_ascii=False)}]}


def jsonl(first, last, words=0):
    return "".join(json.dumps(example(i, words), ensure_ascii=False) + "\n" for i in range(first, last)).encode()


def upload(client, name, content):
    return client.files.create(file=(name, content), purpose="fine-tune")


def files(client):
    train = upload(client, "train.jsonl", jsonl(0, 60))
    validation = upload(client, "validation.jsonl", jsonl(100, 110))
    check("files.create", train.object == "file" and train.bytes == len(jsonl(0, 60)), train)
    check("files.retrieve", client.files.retrieve(train.id) == train)
    check("files.content", client.files.content(train.id).content == jsonl(0, 60))
    check("files.list pages by itself",
          [f.id for f in client.files.list(purpose="fine-tune", limit=1, order="asc")] == [train.id, validation.id])
    extra = upload(client, "extra.jsonl", jsonl(0, 1))
    check("files.delete", client.files.delete(extra.id).deleted)
    try:
        client.files.retrieve(extra.id)
        check("a deleted file is gone", False)
    except openai.NotFoundError as e:
        check("a deleted file is a NotFoundError with a request id", e.request_id.startswith("req_"), e.request_id)
    try:
        upload(client, "broken.jsonl", b'{"messages": []}\n{"messages": \n')
        check("a broken file is refused", False)
    except openai.BadRequestError as e:
        check("a broken file is a BadRequestError that names the line", "Line 2" in str(e) and e.param == "file", e)
    return train, validation


def create(client, train, validation, run, **hyperparameters):
    return client.fine_tuning.jobs.create(
        model="gpt-4o-mini", training_file=train.id, validation_file=validation.id, suffix="acts", seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}, metadata={"run": run})


def wait(client, job_id, accept):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if accept(job):
            return job
        time.sleep(0.02)
    check(f"{job_id} gets on", False, job)


def finish(client, job_id):
    return wait(client, job_id, lambda job: job.finished_at)


def metrics(client, job_id):
    events = list(client.fine_tuning.jobs.list_events(job_id, limit=50))[::-1]
    return events, [e.data for e in events if e.type == "metrics"]


def whole_job(client, train, validation):
    job = create(client, train, validation, "one", n_epochs=4, batch_size=5, learning_rate_multiplier=1.0)
    check("jobs.create", job.status == "validating_files" and job.model == MODEL and job.seed == 7, job)
    job = finish(client, job.id)
    check("the job succeeds", job.status == "succeeded" and job.error is None and job.trained_tokens > 0, job)
    check("its model's name", job.fine_tuned_model.startswith(f"ft:{MODEL}:local:acts:"), job.fine_tuned_model)
    check("hyperparameters as given", job.method.supervised.hyperparameters.n_epochs == 4
          and job.method.supervised.hyperparameters.batch_size == 5, job.method)
    events, steps = metrics(client, job.id)
    check("list_events pages by itself, a metrics event for each of 48 steps",
          [s["step"] for s in steps] == list(range(1, 49)) and steps[0]["total_steps"] == 48, len(steps))
    check("the first and the last message", events[0].message.startswith("Created fine-tuning job")
          and events[-1].message == "The job has successfully completed", [events[0], events[-1]])
    check("the loss falls", steps[-1]["full_valid_loss"] < steps[11]["full_valid_loss"]
          and steps[-1]["train_loss"] < steps[0]["train_loss"], [steps[0], steps[11], steps[-1]])
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=1))
    check("checkpoints of the last three epochs", [c.step_number for c in checkpoints] == [48, 36, 24], checkpoints)
    text = base64.b64decode(client.files.content(job.result_files[0]).read()).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    check("the result file is base64 of a CSV with the same losses",
          [float(r["train_loss"]) for r in rows] == [s["train_loss"] for s in steps], rows[:2])
    return job, checkpoints


def chat(client, job, checkpoints):
    question = example(33)["messages"]
    wanted = json.loads(question.pop()["content"])
    tuned = client.chat.completions.create(model=job.fine_tuned_model, messages=question, temperature=0,
                                           response_format={"type": "json_object"}, max_tokens=500)
    answer = json.loads(tuned.choices[0].message.content)
    check("the tuned model finds the article's number",
          [e["number"] for e in answer["elements"]] == [e["number"] for e in wanted["elements"]], answer)
    base = client.chat.completions.create(model=MODEL, messages=question)
    check("the untrained model answers with an empty structure",
          json.loads(base.choices[0].message.content) == {"elements": [], "relations": []}, base)
    check("answers say whose they are", tuned.system_fingerprint.startswith("ftrun-local-"), tuned)
    check("usage adds up", tuned.usage.total_tokens == tuned.usage.prompt_tokens + tuned.usage.completion_tokens > 0,
          tuned.usage)
    older = client.chat.completions.create(model=checkpoints[-1].fine_tuned_model_checkpoint, messages=question)
    check("a checkpoint answers", json.loads(older.choices[0].message.content), older)
    pieces, usage = [], None
    for chunk in client.chat.completions.create(model=job.fine_tuned_model, messages=question, stream=True,
                                                stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        pieces += [c.delta.content for c in chunk.choices if c.delta.content]
    check("a stream adds up to the same answer", "".join(pieces) == tuned.choices[0].message.content, pieces)
    check("a stream ends with its usage", usage == tuned.usage, usage)


def chat_settings(client, job):
    question = example(33)["messages"][:2]

    def ask(**settings):
        return client.chat.completions.create(model=job.fine_tuned_model, messages=question, **settings)
    whole = ask().choices[0].message.content
    check("n answers", [c.message.content for c in ask(n=3).choices] == [whole] * 3)
    stopped = ask(stop=["relations", "nothing"]).choices[0]
    check("stop", stopped.message.content == whole.split("relations")[0] and stopped.finish_reason == "stop", stopped)
    short = ask(max_tokens=2)
    check("max_tokens", whole.startswith(short.choices[0].message.content) and short.usage.completion_tokens == 2
          and short.choices[0].finish_reason == "length", short)
    streams = {}
    for chunk in ask(n=2, stream=True):
        for c in chunk.choices:
            streams[c.index] = streams.get(c.index, "") + (c.delta.content or "")
    check("n streams", streams == {0: whole, 1: whole}, streams)


def permissions(client, job, checkpoints):
    of = client.fine_tuning.checkpoints.permissions
    name = checkpoints[0].fine_tuned_model_checkpoint
    made = list(of.create(name, project_ids=["proj_a", "proj_b"]))
    check("checkpoints.permissions.create", [p.project_id for p in made] == ["proj_a", "proj_b"], made)
    check("checkpoints.permissions.list", [p.id for p in of.list(name, order="ascending", limit=1)] == [p.id for p in made])
    check("checkpoints.permissions.delete", of.delete(made[0].id, fine_tuned_model_checkpoint=name).deleted)
    check("a deleted permission is gone", [p.id for p in of.list(name)] == [made[1].id])


def uploads(server, program, folder):
    content = jsonl(0, 30)
    cuts = [content[:1000], content[1000:5000], content[5000:]]

    def begin(bytes=len(content)):
        return server.client.uploads.create(filename="big.jsonl", purpose="fine-tune", bytes=bytes, mime_type="text/jsonl")
    upload = begin()
    check("uploads.create", upload.status == "pending" and upload.expires_at > time.time(), upload)
    parts = {i: server.client.uploads.parts.create(upload.id, data=cuts[i]).id for i in (2, 0)}
    server.end(signal.SIGKILL)
    server = Server(program, folder)
    client = server.client
    parts[1] = client.uploads.parts.create(upload.id, data=cuts[1]).id
    ids = [parts[0], parts[1], parts[2]]
    for what, wrong in (("a missing part", {"part_ids": ids[:2]}), ("a part twice", {"part_ids": ids + ids[:1]}),
                        ("a wrong md5", {"part_ids": ids, "md5": "0" * 32})):
        try:
            client.uploads.complete(upload.id, **wrong)
            check(f"uploads.complete refuses {what}", False)
        except openai.BadRequestError as e:
            check(f"uploads.complete refuses {what}", e.param in ("part_ids", "md5"), e)
    done = client.uploads.complete(upload.id, part_ids=ids, md5=hashlib.md5(content).hexdigest())
    check("uploads.complete, parts out of order and over a kill -9", done.status == "completed"
          and client.files.content(done.file.id).content == content, done)
    check("an upload makes one file", [f.id for f in client.files.list() if f.filename == "big.jsonl"] == [done.file.id])
    try:
        client.uploads.parts.create(upload.id, data=b"x")
        check("a completed upload takes no part", False)
    except openai.BadRequestError as e:
        check("a completed upload takes no part", "completed" in str(e), e)
    check("uploads.cancel", client.uploads.cancel(begin().id).status == "cancelled")
    return server


def batch_line(i, model, **more):
    body = {"model": model, "messages": example(i)["messages"][:2], **more}
    return json.dumps({"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n"


def batch(client, text, **more):
    file = client.files.create(file=("requests.jsonl", text.encode()), purpose="batch")
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **more)
    check("batches.create", made.status == "validating" and made.request_counts.total == 0, made)
    return made


def batch_end(client, batch_id):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        got = client.batches.retrieve(batch_id)
        if got.status in ("completed", "failed", "cancelled"):
            return got
        time.sleep(0.05)
    check(f"{batch_id} ends", False, got)


def batches(server, program, folder, job):
    client, model = server.client, job.fine_tuned_model
    text = "".join(batch_line(i, model) for i in range(30)) + batch_line(30, model, n=0)
    first = batch(client, text, metadata={"what": "test"})
    done = batch_end(client, first.id)
    counts = done.request_counts
    check("a batch completes", done.status == "completed" and done.metadata == {"what": "test"}
          and (counts.total, counts.completed, counts.failed) == (31, 30, 1), done)
    lines = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    direct = client.chat.completions.create(model=model, messages=example(7)["messages"][:2])
    check("its answers are those of chat.completions", [r["custom_id"] for r in lines] == [f"r{i}" for i in range(30)]
          and lines[7]["response"]["body"]["choices"][0]["message"]["content"] == direct.choices[0].message.content, lines[7])
    bad = json.loads(client.files.content(done.error_file_id).text)
    check("its error file", bad["custom_id"] == "r30" and bad["response"]["status_code"] == 400
          and bad["response"]["body"]["error"]["param"] == "n", bad)
    failed = batch_end(client, batch(client, batch_line(1, model) + batch_line(1, model) + "{}\n").id)
    check("a batch with bad lines fails and names them", failed.status == "failed"
          and [(e.line, e.code) for e in failed.errors.data] == [(2, "duplicate_custom_id"), (3, "missing_required_parameter")],
          failed)
    long = batch(client, "".join(batch_line(i, model) for i in range(5000)))
    while client.batches.retrieve(long.id).status == "validating":
        time.sleep(0.02)
    server.end(signal.SIGKILL)
    server = Server(program, folder)
    client = server.client
    while client.batches.retrieve(long.id).request_counts.completed < 20:
        time.sleep(0.02)
    check("batches.cancel", client.batches.cancel(long.id).status in ("cancelling", "cancelled"))
    ended = batch_end(client, long.id)
    rows = client.files.content(ended.output_file_id).text.splitlines()
    check("after a kill -9 a batch went on, and its cancel keeps what was done", ended.status == "cancelled"
          and 20 <= len(rows) == ended.request_counts.completed < 5000, ended.request_counts)
    check("batches.list pages by itself", [b.id for b in client.batches.list(limit=1)] == [long.id, failed.id, first.id])
    return server


def steer(client, train, validation):
    job = create(client, train, validation, "two", n_epochs=50, batch_size=1)
    wait(client, job.id, lambda j: j.status == "running")
    for what, error, call in (
            ("a file that a job needs cannot be deleted", openai.ConflictError, lambda: client.files.delete(train.id)),
            ("a web page gets nothing", openai.PermissionDeniedError,
             lambda: client.with_options(default_headers={"Origin": "https://example.com"}).models.list())):
        try:
            call()
            check(f"{what}: {error.__name__}", False)
        except error as e:
            check(f"{what}: {error.__name__}", e.request_id.startswith("req_"), e)
    check("jobs.pause", client.fine_tuning.jobs.pause(job.id).status == "paused")
    check("jobs.resume", client.fine_tuning.jobs.resume(job.id).status == "queued")
    check("jobs.cancel", client.fine_tuning.jobs.cancel(job.id).status == "cancelled")
    try:
        client.fine_tuning.jobs.cancel(job.id)
        check("a cancelled job cannot be cancelled again", False)
    except openai.BadRequestError as e:
        check("a cancelled job cannot be cancelled again", e.code == "invalid_job_state", e.code)
    found = list(client.fine_tuning.jobs.list(limit=1, metadata={"run": "two"}))
    check("jobs.list finds a job by its metadata", [j.id for j in found] == [job.id], found)
    check("jobs.list pages by itself", len(list(client.fine_tuning.jobs.list(limit=1))) == 2)
    try:
        create(client, train, validation, "x", n_epochs=51)
        check("51 epochs are refused", False)
    except openai.BadRequestError as e:
        check("51 epochs are refused", e.param == "method.supervised.hyperparameters.n_epochs", e.param)
    few = upload(client, "few.jsonl", jsonl(0, 9))
    failed = finish(client, create(client, few, validation, "few").id)
    check("nine examples make a failed job", failed.status == "failed"
          and failed.error.code == "invalid_n_examples" and failed.error.param == "training_file", failed.error)


def killed(program, folder, server, validation):
    settings = {"n_epochs": 50, "batch_size": 1}
    train = upload(server.client, "long.jsonl", jsonl(0, 60, 500))
    undisturbed = finish(server.client, create(server.client, train, validation, "calm", **settings).id)
    job = create(server.client, train, validation, "killed", **settings)
    for step in (50, 300, 600):
        job = wait(server.client, job.id, lambda j, step=step: j.finished_at or
                   (server.client.fine_tuning.jobs.list_events(j.id, limit=1).data[0].data or {}).get("step", 0) >= step)
        check(f"the job is still training after step {step}", job.status == "running", job)
        server.end(signal.SIGKILL)
        server = Server(program, folder)
    finish(server.client, job.id)
    events, steps = metrics(server.client, job.id)
    messages = [e.message for e in events]
    check("after three kill -9 no event is there twice", len(set(messages)) == len(messages), messages)
    check("after three kill -9 the losses are those of an undisturbed run",
          steps == metrics(server.client, undisturbed.id)[1], len(steps))
    return server


def models(client, job):
    check("models.list", {MODEL, job.fine_tuned_model} <= {m.id for m in client.models.list()})
    check("models.retrieve", client.models.retrieve(job.fine_tuned_model).owned_by == "ftrun-local")
    check("models.retrieve has a shutdown_date, null here", "shutdown_date" in client.models.retrieve(MODEL).model_dump(exclude_unset=True))
    check("models.delete", client.models.delete(job.fine_tuned_model).deleted)
    try:
        client.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "x"}])
        check("a deleted model does not answer", False)
    except openai.NotFoundError as e:
        check("a deleted model does not answer", e.code == "model_not_found", e.code)


REFUSALS = (
    (401, {}, openai.AuthenticationError, "invalid_api_key"),
    (422, {}, openai.UnprocessableEntityError, None),
    (429, {"retry-after": "1"}, openai.RateLimitError, "rate_limit_exceeded"),
    (500, {}, openai.InternalServerError, None),
)


def refusals(program, folder):
    """Refusals that a good request meets only when the server is told to have them."""
    def fault(number, status, headers):
        return {"route": "GET /models", "kind": "refuse", "from": number, "status": status, "headers": headers}
    faults = [fault(i, status, headers) for i, (status, headers, _, _) in enumerate(REFUSALS, 1)]
    server = Server(program, folder, faults + [fault(len(faults) + 1, *REFUSALS[2][:2])])
    try:
        for status, headers, error, code in REFUSALS:
            try:
                server.client.models.list()
                check(f"{status} is {error.__name__}", False)
            except error as e:
                check(f"{status} is {error.__name__}", e.status_code == status and e.code == code
                      and e.request_id.startswith("req_") and headers.items() <= dict(e.response.headers).items(), e)
        began = time.monotonic()
        server.client.with_options(max_retries=1).models.list()
        check("the client asks again after retry-after", time.monotonic() - began >= 1)
    finally:
        server.end(signal.SIGTERM)


def main(program):
    with tempfile.TemporaryDirectory(prefix="ftrun-interop") as folder:
        server = Server(program, folder)
        try:
            train, validation = files(server.client)
            job, checkpoints = whole_job(server.client, train, validation)
            chat(server.client, job, checkpoints)
            chat_settings(server.client, job)
            permissions(server.client, job, checkpoints)
            server = uploads(server, program, folder)
            server = batches(server, program, folder, job)
            steer(server.client, train, validation)
            server = killed(program, folder, server, validation)
            models(server.client, job)
            check("SIGTERM ends the server", server.end(signal.SIGTERM) == 143)
            refusals(program, folder)
            check("every answer is as the API document has it", Server.proxy.report())
        finally:
            if server.process.poll() is None:
                server.process.kill()


if __name__ == "__main__":
    os.environ["NO_PROXY"] = "127.0.0.1"
    main(sys.argv[1])
