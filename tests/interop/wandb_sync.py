"""W&B's own SDK, unchanged, on the offline runs of ftrun: its reader reads them record by record, and its
`wandb sync` brings them to a server.

usage: wandb_sync.py FTRUN [WANDB...]    prints one line a check; exit code 1 at the first that fails. WANDB: `wandb`
programs of other versions, to sync with too.
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import wandb
from wandb.proto import wandb_internal_pb2 as pb
from wandb.sdk.internal.datastore import DataStore

from wandb_server import Server

KEY = "local-" + "0123456789abcdef" * 3
RECIPE = """
return ft.recipe {
  name = "toy", base_model = "gpt-4o-mini-2024-07-18", seed = 7,
  dataset = ft.jsonl { path = "rows.jsonl", key = "id", example = function(row)
    return ft.chat { system = "Find the number.", user = row.text, assistant = row.answer }
  end },
  split = { validation = 0.2 },
  hyperparameters = { n_epochs = EPOCHS, batch_size = 4 },
  wandb = { project = "laws", entity = "team", group = "g", run_name = "first", notes = "Нотатки", tags = { "legal", "uk" },
            log_datasets = DATASETS },
  on = { HOOK },
}
"""


def check(what, value, detail=None):
    print(("ok " if value else "not ok ") + what + ("" if value else f": {detail!r}"), flush=True)
    if not value:
        sys.exit(1)


def same(what, got, expected):
    check(what, got == expected, {"got": got, "expected": expected})


def lines_of(path):
    """The whole lines: another process may be writing the next one."""
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f.read().split("\n")[:-1]]


class Project:
    """A folder with a recipe; what ftrun makes of it."""

    def __init__(self, program, epochs=2, datasets=False, hook=""):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="ftrun-wandb-")
        self.env = {"PATH": os.environ["PATH"], "HOME": self.folder, "WANDB_API_KEY": KEY, "WANDB_MODE": "offline", "NO_PROXY": "*"}
        with open(self.folder + "/rows.jsonl", "w", encoding="utf-8") as f:
            for i in range(40):
                n = 100 + 7 * i
                f.write(json.dumps({"id": i, "text": f"Стаття {n}. Текст закону.", "answer": json.dumps({"number": str(n)})},
                                   ensure_ascii=False) + "\n")
        with open(self.folder + "/toy.lua", "w", encoding="utf-8") as f:
            f.write(RECIPE.replace("EPOCHS", str(epochs)).replace("DATASETS", str(datasets).lower())
                    .replace("HOOK", hook))

    def start(self):
        return subprocess.Popen([self.program, "--local", "toy.lua"], cwd=self.folder, env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def finish(self):
        process = self.start()
        _, self.messages = process.communicate(timeout=120)
        return process.returncode

    def files(self, pattern):
        return sorted(glob.glob(f"{self.folder}/.ftrun/runs/*/{pattern}"))

    def one(self, pattern):
        found = self.files(pattern)
        check(f"there is one {pattern}", len(found) == 1, found)
        return found[0]

    def close(self):
        shutil.rmtree(self.folder)


def sdk_records(path):
    """The records as the SDK's own reader gives them."""
    store = DataStore()
    store.open_for_scan(path)
    records = []
    while True:
        data = store.scan_data()
        if data is None:
            return records
        record = pb.Record()
        record.ParseFromString(data)
        records.append(record)


def plain(items):
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def later_config(records):
    config = {}
    for r in records:
        if r.WhichOneof("record_type") == "config":
            config.update(plain(r.config.update))
    return config


def check_records(project):
    path = project.one("wandb/offline-run-*/run-*.wandb")
    run = os.path.basename(os.path.dirname(os.path.dirname(os.path.dirname(path))))
    same("the run's id is ftrun's own", os.path.basename(path), f"run-{run}.wandb")
    check("the folder is named as the SDK names it", os.path.dirname(path).endswith("-" + run), path)
    records = sdk_records(path)
    kinds = [r.WhichOneof("record_type") for r in records]
    same("the SDK's reader: the order of records", [kinds[:2], kinds[-3:]], [["header", "run"], ["exit", "final", "footer"]])
    same("the SDK's reader: one run record", kinds.count("run"), 1)
    same("the SDK's reader: records are numbered", [r.num for r in records], list(range(1, len(records) + 1)))
    head = records[1].run
    same("the SDK's reader: the run", [head.run_id, head.project, head.entity, head.run_group, head.display_name, head.notes,
                                       list(head.tags), head.job_type],
         [run, "laws", "team", "g", "first", "Нотатки", ["legal", "uk"], "fine-tune"])
    config = plain(head.config.update)
    same("the SDK's reader: _wandb is in the config", config.pop("_wandb"), {})
    config.update(later_config(records))
    lock = json.load(open(project.folder + "/toy.lock.json", encoding="utf-8"))
    for name in ("base_model", "seed", "recipe_sha256", "data_sha256", "provider", "job", "hyperparameters"):
        same(f"the config's {name} is the lock file's", config[name], lock[name])
    same("the config's hash of the training file", config["train"]["sha256"], lock["train"]["sha256"])
    history = [plain(r.history.item) for r in records if r.WhichOneof("record_type") == "history"]
    metrics = lines_of(project.one("metrics.jsonl"))
    same("the SDK's reader: each step once, in order", [h["_step"] for h in history], [m["step"] for m in metrics])
    for name in ("train_loss", "train_mean_token_accuracy"):
        same(f"the SDK's reader: {name} of each step", [h[name] for h in history], [m[name] for m in metrics])
    check("the SDK's reader: time goes on", all(h["_runtime"] >= 0 and h["_timestamp"] > 1.7e9 for h in history), history)
    same("the SDK's reader: progress, tokens and cost of the last step",
         [history[-1]["progress"] == 1, history[-1]["tokens_so_far"] > 0, history[-1]["usd_so_far"]], [True, True, 0])
    return run, path, config, history


def sync(project, server, way, folder):
    env = dict(project.env, WANDB_BASE_URL=server.url, WANDB_ERROR_REPORTING="false", PYTHONUNBUFFERED="1")
    done = subprocess.run([*way, folder], env=env, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120)
    check(f"{' '.join(way[1:])} ends well", done.returncode == 0 and not server.problems,
          [done.stdout, server.problems, server.operations])


def check_synced(project, way, run, path, config, history, exit_code):
    """Syncs a copy, so that each way of syncing sees a run that was never synced."""
    name = " ".join(way[1:])
    copy = tempfile.mkdtemp(prefix="ftrun-wandb-")
    folder = shutil.copytree(os.path.dirname(path), copy + "/wandb/" + os.path.basename(os.path.dirname(path)))
    # the SDK removes the files of artifacts that it has uploaded, where the log says that they are
    kept = shutil.copytree(os.path.dirname(path) + "/artifacts", copy + "/artifacts")
    server = Server(KEY)
    try:
        sync(project, server, way, folder)
        same(f"{name}: one run arrives", list(server.runs), [run])
        there = server.runs[run]
        got = {k: v["value"] for k, v in there.config.items()}
        got.pop("_wandb")
        same(f"{name}: the config", got, config)
        v = there.variables
        same(f"{name}: what the run says of itself",
             [v["project"], v["entity"], v["groupName"], v["displayName"], v["notes"], v["tags"], v["jobType"]],
             ["laws", "team", "g", "first", "Нотатки", ["legal", "uk"], "fine-tune"])
        same(f"{name}: the history", there.history(), history)
        result = json.load(open(project.one("result.json"), encoding="utf-8"))
        summary = there.summary()
        same(f"{name}: the summary", [summary.get(k) for k in ("state", "fine_tuned_model", "trained_tokens", "job", "_step")],
             [result["state"], result.get("model"), result.get("trained_tokens"), result["job"], history[-1]["_step"]])
        same(f"{name}: the newest metrics in the summary", summary["train_loss"], history[-1]["train_loss"])
        same(f"{name}: the exit code", there.exit_code, exit_code)
        console = "\n".join(there.lines("output.log"))
        check(f"{name}: the console's lines", "training" in console and result["state"] in console, console)
        there.server = server
        return there
    finally:
        server.close()
        shutil.copytree(kept, os.path.dirname(path) + "/artifacts", dirs_exist_ok=True)
        shutil.rmtree(copy)


def check_content(project, there, texts):
    """Recipe and lock file, data -> run -> model, tables; without texts of examples unless they are wanted."""
    server = there.server
    with open(project.folder + "/toy.lua", "rb") as f:
        same("the recipe", there.files.get("recipe.lua"), f.read())
    with open(project.one("lock.json"), "rb") as f:
        same("the lock file", there.files.get("recipe.lock.json"), f.read())
    result = json.load(open(project.one("result.json"), encoding="utf-8"))
    stored = [data for a in server.artifacts for data in a.files.values()]
    everything = b"\n".join([*there.files.values(), *stored, json.dumps(there.stream, ensure_ascii=False).encode(),
                             json.dumps(there.config, ensure_ascii=False).encode()])
    text = "Текст закону".encode()
    same("texts of examples arrive only when the recipe says so", text in everything, texts)
    used = {a.name: a for a in there.inputs}
    for side, short in (("train", "train"), ("validation", "valid")):
        facts = there.config[side]["value"]
        a = used[f"{short}-{facts['file_id']}"]
        same(f"the {side} file is an artifact that the run has used",
             [a.type, a.metadata["sha256"], a.metadata["rows"], "latest" in a.aliases],
             ["training_files" if side == "train" else "validation_files", facts["sha256"], facts["rows"], True])
        if texts:
            with open(project.one(side + ".jsonl"), "rb") as f:
                same(f"the {side} artifact holds the file", a.files[facts["file_id"]], f.read())
    made = {a.name: a for a in there.outputs}
    if result["state"] != "succeeded":
        return same("no model, no model artifact", made.get("model-metadata"), None)
    model = made["model-metadata"]
    same("the model is an artifact that the run has made", [model.type, model.aliases, model.metadata["fine_tuned_model"]],
         ["model", ["latest", result["job"]], result["model"]])
    if texts:
        value = there.history()[0]["train_data"]
        table = json.loads(there.files[value["path"]])
        same("the table of training rows", [table["columns"], len(table["data"])],
             [["role: system", "role: user", "role: assistant"], there.config["train"]["value"]["rows"]])
        a = made[f"run-{there.name}-train_data"]
        same("and its artifact", [a.type, value["artifact_path"]],
             ["run_table", f"wandb-client-artifact://{a.client_id}/train_data.table.json"])


# The version that is pinned has two ways to sync, that of older ones and that of newer ones.
OWN = os.path.dirname(sys.executable) + "/wandb"
WAYS = [[OWN, "sync"], [OWN, "sync", "--legacy"]]


HOOK = """metrics = function(m)
    if m.step == 1 then ft.define_metric { name = "double", step_metric = "half", summary = "max" } end
    ft.log { double = 2 * m.step, half = m.step / 2 }
    if m.step == 2 then ft.table("worst", { "step", "why" }, { { 1, "a" }, { 2 } }) end
  end,
  finished = function(r)
    ft.summary { seen = r.state }
    ft.artifact("notes", { type = "notes", files = "rows.jsonl", metadata = { n = 1 } })
  end"""


def check_hooks(there):
    """What the recipe logged itself."""
    history, summary = there.history(), there.summary()
    same("ft.log: each step has the hook's numbers", [[h["double"], h["half"]] for h in history],
         [[2 * h["_step"], h["_step"] / 2] for h in history])
    same("ft.define_metric and ft.summary", [summary["double"], summary["seen"]],
         [{"max": 2 * history[-1]["_step"]}, "succeeded"])
    metrics = there.config["_wandb"]["value"]["m"]
    defined = {m["1"]: m for m in metrics}
    same("ft.define_metric: the configuration names the metric and its step",
         [metrics[defined["double"]["5"] - 1]["1"], defined["double"]["7"]], ["half", [2]])
    value = history[1]["worst"]
    same("ft.table: the file", json.loads(there.files[value["path"]]),
         {"columns": ["step", "why"], "data": [[1, "a"], [2, None]]})
    notes = [a for a in there.outputs if a.type == "notes"]
    same("ft.artifact: a file with its metadata", [[sorted(a.files), a.metadata] for a in notes],
         [[["rows.jsonl"], {"n": 1}]])


def succeeded(program):
    project = Project(program, datasets=True, hook=HOOK)
    same("a run to the end", project.finish(), 0)
    check("it says how to upload", "wandb sync " in project.messages, project.messages)
    run, path, config, history = check_records(project)
    for way in WAYS:
        there = check_synced(project, way, run, path, config, history, 0)
        check_content(project, there, texts=True)
        check_hooks(there)
    for folder, _, names in os.walk(project.folder + "/.ftrun"):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                check("no key in " + name, KEY.encode() not in f.read())
    project.close()


def cancelled(program):
    project = Project(program, epochs=50, hook='metrics = function(m) if m.step == 5 then return ft.cancel "enough" end end')
    same("a run that its recipe cancels", project.finish(), 9)
    run, path, config, history = check_records_of_cancelled(project)
    for way in WAYS:
        there = check_synced(project, way, run, path, config, history, 9)
        check_content(project, there, texts=False)
    project.close()


def check_records_of_cancelled(project):
    path = project.one("wandb/offline-run-*/run-*.wandb")
    records = sdk_records(path)
    history = [plain(r.history.item) for r in records if r.WhichOneof("record_type") == "history"]
    config = plain(records[1].run.config.update)
    config.pop("_wandb")
    config.update(later_config(records))
    same("a cancelled run ends with an exit code", records[-3].exit.exit_code, 9)
    return records[1].run.run_id, path, config, history


def killed(program):
    project = Project(program, epochs=50)
    process = project.start()
    deadline = time.time() + 60
    while time.time() < deadline and not any(len(lines_of(p)) >= 9 for p in project.files("metrics.jsonl")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    path = project.one("wandb/offline-run-*/run-*.wandb")
    metrics = lines_of(project.one("metrics.jsonl"))
    before = [plain(r.history.item)["_step"] for r in sdk_records(path) if r.WhichOneof("record_type") == "history"]
    check("kill -9: what was logged is read by the SDK", 0 <= len(metrics) - len(before) <= 1 and len(before) >= 8,
          [len(metrics), len(before)])
    same("kill -9: the same command ends the run", project.finish(), 0)
    run, path, config, history = check_records(project)
    check_synced(project, WAYS[0], run, path, config, history, 0)
    project.close()


def later(program):
    """An offline run that ftrun itself sends afterwards, once."""
    project = Project(program, datasets=True)
    same("an offline run to the end", project.finish(), 0)
    run, path, config, history = check_records(project)
    server = Server(KEY)
    env = dict(project.env, WANDB_BASE_URL=server.url)
    env.pop("WANDB_MODE", None)
    outcomes = []
    for _ in range(2):
        done = subprocess.run([program, "wandb", "sync", "--all", "--json"], env=env, cwd=project.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        check("ftrun wandb sync ends well", done.returncode == 0, [done.stdout, done.stderr])
        outcomes.append([json.loads(line)["did"] for line in done.stdout.splitlines()])
    same("ftrun wandb sync sends a run once", outcomes, [["sent"], ["skipped"]])
    there = server.runs[run]
    there.server = server
    same("ftrun wandb sync: the history", there.history(), history)
    same("ftrun wandb sync: the config", there.plain_config(), config)
    same("ftrun wandb sync: the end", [there.exit_code, there.complete, server.problems], [0, 1, []])
    check_content(project, there, texts=True)
    server.close()
    project.close()


def main():
    program = os.path.abspath(sys.argv[1])
    print("wandb", wandb.__version__)
    WAYS.extend([other, "sync"] for other in sys.argv[2:])
    killed(program)
    succeeded(program)
    cancelled(program)
    later(program)


if __name__ == "__main__":
    main()
