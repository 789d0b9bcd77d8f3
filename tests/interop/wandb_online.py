"""Online runs of ftrun against a W&B server for tests, which is first shown right by W&B's own SDK, unchanged.

usage: wandb_online.py FTRUN [PART...]    prints one line a check; exit code 1 when one fails

1. The SDK online (init, log, Table, Artifact, finish), resumed, and offline with both of its ways to sync: the server
   has what was logged.
2. The same run by ftrun online, by ftrun's log through both ways to sync, and by the SDK online: the server has the
   same, field by field. What differs, and why, is in DIFFERENCES.
3. kill -9, an outage, 429, resets before and after a request was carried out, a full disk: each step once.
4. The Stop button. 5. No key anywhere.
"""
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import yaml

from wandb_server import Server
from wandb_sync import KEY, Project, WAYS, check, lines_of, same

STEPS = "wandb-history.jsonl"

# What is at the server in one way of logging and not in the others, or is another there.
DIFFERENCES = {
    "_wandb in the configuration": "what its writer says of itself: versions, telemetry, environment",
    "_wandb.runtime in the summary of a legacy sync, _runtime of the SDK online": "taken from the clock of the machine that logs",
    "times of console lines": "W&B's sync has the time of the sync, ftrun that of the line, as the SDK online",
    "wandb-metadata.json, config.yaml": "the same content or less, in other words: host, Python and disks are not told by ftrun",
    "config.yaml of a legacy sync": "has its version, and an empty description of each value",
    "line ends in the console of a legacy sync": "the others send lines without; the last one of output.log has none there",
    "the exit code of a legacy sync of the SDK's own log": "0: SDK 0.28 does not write the record that its legacy sync waits "
                                                           "for; ftrun does",
    "requirements.txt": "ftrun has no Python",
    "_timestamp, _runtime, of the SDK online": "this test logs again what ftrun has logged, later",
    "program, host, of the run": "that of the program that syncs",
    "client ids of tables and artifacts, bytes of a table's file and so its sums": "random, and the writer's own JSON; rows "
                                                                                "and columns are the same",
}

SDK_CALLS = """
import os, sys, wandb
folder = sys.argv[1]
run = wandb.init(project="laws", entity="team", id=sys.argv[2], name="first", group="g", job_type="fine-tune",
                 notes="Нотатки", tags=["legal"], config={"lr": 0.1, "nested": {"list": [1, 2]}}, dir=folder)
run.define_metric("loss", summary="min")
for i in range(5):
    run.log({"loss": 1 / (i + 1), "a/b": i})
    print("line", i)
run.log({"rows": wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, None]])})
with open(folder + "/rows.txt", "w") as f:
    f.write("rows")
made = wandb.Artifact("data", "dataset", metadata={"n": 3})
made.add_file(folder + "/rows.txt")
run.log_artifact(made, aliases=["best"])
if run.settings.mode == "online":
    used = wandb.Artifact("used", "dataset")
    used.add_file(folder + "/rows.txt")
    run.use_artifact(used)
run.summary["final"] = 7
run.finish(exit_code=3)
"""

SDK_RESUME = """
import sys, wandb
run = wandb.init(project="laws", entity="team", id=sys.argv[2], resume="must", dir=sys.argv[1])
run.log({"loss": 0.01})
run.finish()
"""

# The values of a stored run, logged again by the SDK.
SDK_REPLAY = """
import base64, json, os, sys, wandb
stored = json.load(open(sys.argv[2]))
run = wandb.init(project="laws", entity="team", id=stored["id"], name=stored["name"], job_type="fine-tune",
                 group=stored["group"], notes=stored["notes"], tags=stored["tags"], config=stored["config"], dir=sys.argv[1])
for a in stored["artifacts"]:
    made = wandb.Artifact(a["name"], a["type"], metadata=a["metadata"])
    for name, data in a["files"].items():
        with made.new_file(name, mode="wb") as f:
            f.write(base64.b64decode(data))
    if a["input"]:
        run.use_artifact(made, aliases=a["aliases"])
    else:
        run.log_artifact(made, aliases=a["aliases"])
for name, data in stored["files"].items():
    with open(os.path.join(sys.argv[1], name), "wb") as f:
        f.write(base64.b64decode(data))
    run.save(os.path.join(sys.argv[1], name), base_path=sys.argv[1], policy="now")
for row in stored["history"]:
    step = row.pop("_step")
    run.log({k: wandb.Table(**stored["tables"][k]) if k in stored["tables"] else v for k, v in row.items()}, step=step)
for line in stored["console"]:
    print(line)
run.summary.update(stored["summary"])
run.finish(exit_code=stored["exit"])
"""


def environment(folder, server, **more):
    return {"PATH": os.environ["PATH"], "HOME": folder, "WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url,
            "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true", "NO_PROXY": "*", "PYTHONIOENCODING": "utf-8",
            "WANDB__FILE_STREAM_TRANSMIT_INTERVAL": "0.1", **more}


def sdk(source, folder, server, *args, **more):
    path = folder + "/calls.py"
    with open(path, "w", encoding="utf-8") as f:
        f.write(source)
    done = subprocess.run([sys.executable, path, folder, *args], env=environment(folder, server, **more), cwd=folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    check("the SDK's program ends well", done.returncode == 0, done.stdout)


def without(values, *names):
    return {k: v for k, v in values.items() if k not in names}


# ---- the server is right: the real SDK ----

def check_sdk_run(what, server, run_id, online, exit_code=3):
    same(f"{what}: nothing was wrong", server.problems, [])
    run = server.runs[run_id]
    same(f"{what}: the configuration", run.plain_config(), {"lr": 0.1, "nested": {"list": [1, 2]}})
    v = run.variables
    same(f"{what}: the run", [v["project"], v["entity"], v["groupName"], v["displayName"], v["notes"], v["tags"], v["jobType"]],
         ["laws", "team", "g", "first", "Нотатки", ["legal"], "fine-tune"])
    history = run.history()
    same(f"{what}: the history", [(h["_step"], h.get("loss"), h.get("a/b")) for h in history],
         [(i, 1 / (i + 1), i) for i in range(5)] + [(5, None, None)])
    same(f"{what}: the summary", [run.summary()["final"], run.summary()["loss"]], [7, {"min": 0.2}])
    same(f"{what}: the console", console(run), [f"line {i}" for i in range(5)])
    same(f"{what}: the exit code", [run.exit_code, run.complete, run.gaps(STEPS), run.changed], [exit_code, 1, [], []])
    table = history[5]["rows"]
    same(f"{what}: the table", json.loads(run.files[table["path"]]), {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]})
    artifacts = {a.name: a for a in run.outputs}
    same(f"{what}: artifacts", sorted((a.type, a.name, a.state, sorted(a.aliases)) for a in artifacts.values()),
         [("dataset", "data", "COMMITTED", ["best", "latest"]), ("run_table", f"run-{run_id}-rows", "COMMITTED", ["latest"])])
    same(f"{what}: an artifact's file", [artifacts["data"].files["rows.txt"], artifacts["data"].metadata], [b"rows", {"n": 3}])
    if online:
        same(f"{what}: what it used", [(a.type, a.name) for a in run.inputs], [("dataset", "used")])


def sdk_online(_):
    folder, server = tempfile.mkdtemp(prefix="ftrun-wandb-"), Server(KEY)
    sdk(SDK_CALLS, folder, server, "aaaa1111")
    check_sdk_run("the SDK online", server, "aaaa1111", True)
    sdk(SDK_RESUME, folder, server, "aaaa1111")
    run = server.runs["aaaa1111"]
    same("the SDK resumes a run", [[h["_step"] for h in run.history()], run.changed, run.exit_code], [list(range(7)), [], 0])
    server.close()
    shutil.rmtree(folder)


def sdk_through_faults(_):
    folder, server = tempfile.mkdtemp(prefix="ftrun-wandb-"), Server(KEY)
    server.faults = [{"what": "status", "status": 429, "retry_after": 0.05, "times": 2, "match": "file_stream"},
                     {"what": "after", "times": 1, "match": "file_stream"}, {"what": "before", "times": 1, "match": "graphql"}]
    sdk(SDK_CALLS, folder, server, "bbbb2222")
    check_sdk_run("the SDK online through faults", server, "bbbb2222", True)
    server.close()
    shutil.rmtree(folder)


def sdk_offline(_):
    for way in WAYS:
        # a folder each: a sync takes the files of artifacts away
        folder, server = tempfile.mkdtemp(prefix="ftrun-wandb-"), Server(KEY)
        sdk(SDK_CALLS, folder, server, "cccc3333", WANDB_MODE="offline")
        made = [folder + "/wandb/" + n for n in os.listdir(folder + "/wandb") if n.startswith("offline-run-")]
        done = subprocess.run([*way, made[0]], env=environment(folder, server), cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)
        check("the SDK's sync ends well", done.returncode == 0, done.stdout)
        check_sdk_run("the SDK's " + " ".join(way[1:]), server, "cccc3333", False, 0 if "--legacy" in way else 3)
        server.close()
        shutil.rmtree(folder)


# ---- the same run by three ways ----

def online(program, server, **options):
    project = Project(program, **options)
    project.env.update(WANDB_MODE="online", WANDB_BASE_URL=server.url, WANDB__FILE_STREAM_TRANSMIT_INTERVAL="0.1")
    return project


def only_run(server):
    check("one run is there", len(server.runs) == 1, list(server.runs))
    return next(iter(server.runs.values()))


def the_run(server):
    return next(iter(server.runs.values()))


def console(run):
    return [re.sub(r"^\S+ ", "", line).removesuffix("\n") for line in run.lines("output.log")]


def plain(run, value):
    """A table by its rows: its bytes, and so its sums, are its writer's."""
    if isinstance(value, dict) and value.get("_type") == "table-file":
        return {"_type": "table-file", "ncols": value["ncols"], "nrows": value["nrows"], "log_mode": value["log_mode"],
                "table": json.loads(run.files[value["path"]])}
    return value


def rows(run, values, *names):
    return {k: plain(run, v) for k, v in values.items() if k not in names}


def file_names(run):
    return {re.sub(r"_[0-9a-f]{20}\.table", ".table", name): name for name in run.files}


def artifact_facts(a):
    """What an artifact is; a table's file as its content."""
    if a.type != "run_table":
        return [a.type, a.name, sorted(a.aliases), a.digest, a.metadata]
    return [a.type, a.name, sorted(a.aliases), {n: json.loads(data) for n, data in a.files.items()}]


def stored(run):
    """All of a run that somebody who logs it again must know."""
    def base64_of(files):
        return {name: base64.b64encode(data).decode() for name, data in files.items()}
    tables = {}
    for h in run.history():
        tables.update({k: plain(run, v)["table"] for k, v in h.items() if isinstance(v, dict) and "table" in plain(run, v)})
    v = run.variables
    return {"id": run.name, "name": v["displayName"], "group": v["groupName"], "notes": v["notes"], "tags": v["tags"],
            "config": run.plain_config(), "history": run.history(), "console": console(run), "tables": tables,
            "summary": without(run.summary(), "_wandb", "_step", "_runtime", *tables), "exit": run.exit_code,
            "files": base64_of({n: data for n, data in run.files.items() if n.startswith("recipe.")}),
            "artifacts": [{"name": a.name, "type": a.type, "metadata": a.metadata, "aliases": a.aliases,
                           "files": base64_of(a.files), "input": a in run.inputs}
                          for a in run.inputs + run.outputs if a.type != "run_table"]}


def compare(what, run, reference, other_clock=False):
    same(f"{what}: the configuration", run.plain_config(), reference.plain_config())
    times = ("_timestamp", "_runtime") if other_clock else ()
    same(f"{what}: the history", [rows(run, h, *times) for h in run.history()],
         [rows(reference, h, *times) for h in reference.history()])
    same(f"{what}: the summary", rows(run, run.summary(), "_wandb", *times),
         rows(reference, reference.summary(), "_wandb", *times))
    same(f"{what}: the console", console(run), console(reference))
    same(f"{what}: the exit code", [run.exit_code, run.complete], [reference.exit_code, reference.complete])
    names = ("name", "project", "entity", "groupName", "displayName", "notes", "tags", "jobType")
    same(f"{what}: the run", [run.variables.get(n) for n in names], [reference.variables.get(n) for n in names])
    mine, theirs = file_names(run), file_names(reference)
    mine.pop("requirements.txt", None)
    same(f"{what}: names of files", sorted(mine), sorted(theirs))
    for name in sorted(mine):
        a, b = run.files[mine[name]], reference.files[theirs[name]]
        if name == "config.yaml":
            a, b = ({k: v["value"] for k, v in yaml.safe_load(f).items() if k not in ("_wandb", "wandb_version")}
                    for f in (a, b))
        elif name == "wandb-summary.json":
            a, b = rows(run, json.loads(a), "_wandb", *times), rows(reference, json.loads(b), "_wandb", *times)
        elif name.endswith(".table.json"):
            a, b = json.loads(a), json.loads(b)
        elif name == "wandb-metadata.json":
            a, b = (len(json.loads(f)) > 0 for f in (a, b))
        else:
            a, b = a.rstrip(b"\n"), b.rstrip(b"\n")
        same(f"{what}: {name}", a, b)
    for kind in ("inputs", "outputs"):
        same(f"{what}: {kind}", sorted(map(artifact_facts, getattr(run, kind)), key=str),
             sorted(map(artifact_facts, getattr(reference, kind)), key=str))


def three_ways(program):
    server = Server(KEY)
    project = online(program, server, datasets=True)
    same("ftrun online: the run ends well", project.finish(), 0)
    same("ftrun online: nothing was wrong", [server.problems, server.key_in_store], [[], False])
    reference = only_run(server)
    check("ftrun online: it says where the run is", f"{server.url}/team/laws/runs/{reference.name}" in project.messages,
          project.messages)
    same("ftrun online: each step once", [[h["_step"] for h in reference.history()], reference.changed, reference.gaps(STEPS)],
         [[m["step"] for m in lines_of(project.one("metrics.jsonl"))], [], []])
    check("ftrun online: files are told to be there", reference.told == set(reference.files), reference.told)
    check("ftrun online: W&B's tools see that there is nothing to sync", project.one("wandb/offline-run-*/*.synced"))
    folder = os.path.dirname(project.one("wandb/offline-run-*/run-*.wandb"))
    kept = shutil.copytree(folder + "/artifacts", project.folder + "/kept")
    for way in WAYS:
        shutil.copytree(kept, folder + "/artifacts", dirs_exist_ok=True)  # a sync takes an artifact's files away
        other = Server(KEY)
        copy = tempfile.mkdtemp(prefix="ftrun-wandb-")
        path = shutil.copytree(folder, copy + "/wandb/" + os.path.basename(folder),
                               ignore=shutil.ignore_patterns("*.synced", "*.sent.json", "config.yaml", "output.log"))
        done = subprocess.run([*way, path], env=environment(copy, other), cwd=copy, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)
        what = "ftrun's log by " + " ".join(way[1:])
        check(f"{what}: ends well", done.returncode == 0 and not other.problems, [done.stdout, other.problems])
        compare(what, only_run(other), reference)
        other.close()
        shutil.rmtree(copy)
    replayed = Server(KEY)
    folder = tempfile.mkdtemp(prefix="ftrun-wandb-")
    with open(folder + "/stored.json", "w", encoding="utf-8") as f:
        json.dump(stored(reference), f)
    sdk(SDK_REPLAY, folder, replayed, folder + "/stored.json")
    compare("the same calls by the SDK", only_run(replayed), reference, other_clock=True)
    replayed.close()
    shutil.rmtree(folder)
    server.close()
    no_key(project, server)
    project.close()


# ---- trouble ----

def steps_seen(project):
    return sum(len(lines_of(p)) for p in project.files("metrics.jsonl"))


def whole(what, project, server, exit_code=0):
    run = only_run(server)
    metrics = lines_of(project.one("metrics.jsonl"))
    same(f"{what}: each step once", [[h["_step"] for h in run.history()], run.gaps(STEPS), run.changed],
         [[m["step"] for m in metrics], [], []])
    same(f"{what}: the numbers of each step", [h["train_loss"] for h in run.history()], [m["train_loss"] for m in metrics])
    same(f"{what}: the end", [run.exit_code, run.complete >= 1, server.problems], [exit_code, True, []])
    return run


def killed(program):
    server = Server(KEY)
    project = online(program, server, epochs=50, hook="metrics = function(m) return ft.log { twice = 2 * m.train_loss } end")
    kills = int(os.environ.get("FTRUN_KILLS") or 3)
    server.faults = [{"what": "after", "times": 4, "match": "file_stream"}]
    for i in range(kills):
        process = project.start()
        target = steps_seen(project) + 400 // (kills + 1)
        while process.poll() is None and steps_seen(project) < target:
            time.sleep(0.005)
        if process.poll() is None:
            process.kill()
        process.communicate()
    same("kill -9: the same command ends the run", project.finish(), 0)
    run = whole("kill -9", project, server)
    check("kill -9: what the recipe logs is there", all(h["twice"] == 2 * h["train_loss"] for h in run.history()),
          [h for h in run.history() if h.get("twice") != 2 * h["train_loss"]])
    print("   repeated lines:", run.repeated, "posts:", run.posts)
    project.close()
    server.close()


def away(program):
    """The server is away for the middle third of a run."""
    server = Server(KEY)
    project = online(program, server, epochs=50)
    process = project.start()

    def outage():
        while process.poll() is None and steps_seen(project) < 133:
            time.sleep(0.005)
        server.down()
        while process.poll() is None and steps_seen(project) < 266:
            time.sleep(0.005)
        server.up()
    thread = threading.Thread(target=outage)
    thread.start()
    _, messages = process.communicate(timeout=120)
    thread.join()
    same("server away: the run ends well", process.returncode, 0)
    whole("server away", project, server)
    check("server away: all was sent", "the run is at" in messages, messages)
    project.close()
    server.close()
    # it does not come back before the end: the run does not mind, and the rest goes up later, once
    server = Server(KEY)
    project = online(program, server, epochs=50)
    process = project.start()
    while process.poll() is None and not (server.runs and len(the_run(server).history()) > 20):
        time.sleep(0.005)
    server.down()
    _, messages = process.communicate(timeout=120)
    same("server gone: the run ends well", process.returncode, 0)
    check("server gone: what is missing is said", "not all was sent" in messages and "ftrun wandb sync" in messages, messages)
    same("server gone: the server does not know of the end", the_run(server).complete, 0)
    server.up()
    before, folder = len(the_run(server).history()), os.path.dirname(project.one("wandb/offline-run-*/run-*.wandb"))
    done = subprocess.run([*WAYS[0], folder], env=environment(project.folder, server), cwd=project.folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    same("server gone: W&B's own sync passes over what is partly there", len(the_run(server).history()), before)
    print("   it says:", done.stdout.strip())
    server.down()
    folder = os.path.dirname(project.one("wandb/offline-run-*/run-*.wandb"))
    kept = shutil.copytree(folder + "/artifacts", project.folder + "/kept")
    server.up()
    done = subprocess.run([program, "wandb", "sync", the_run(server).name], cwd=project.folder, env=project.env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    check("server gone: ftrun sends the rest", done.returncode == 0, done.stdout)
    whole("server gone", project, server)
    # another server, which has nothing of it yet: W&B's own sync does as well
    shutil.copytree(kept, folder + "/artifacts", dirs_exist_ok=True)
    os.unlink(project.one("wandb/offline-run-*/*.synced"))
    again = Server(KEY)
    done = subprocess.run([*WAYS[0], folder], env=environment(project.folder, again), cwd=project.folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    check("server gone: W&B's own sync brings it elsewhere", done.returncode == 0, done.stdout)
    whole("server gone, elsewhere", project, again)
    again.close()
    project.close()
    server.close()


def storm(program):
    server = Server(KEY)
    project = online(program, server, epochs=50)
    server.faults = [
        {"what": "status", "status": 429, "retry_after": 0.2, "times": 5, "match": "UpsertBucket"},
        {"what": "after", "times": 1, "match": "UpsertBucket"},
        {"what": "status", "status": 429, "retry_after": 0.1, "times": 20, "match": "file_stream"},
        {"what": "after", "times": 2, "match": "file_stream"}, {"what": "before", "times": 1, "match": "file_stream"},
        {"what": "status", "status": 500, "times": 1, "match": "file_stream"},
        {"what": "after", "times": 1, "match": "storage"}, {"what": "status", "status": 429, "retry_after": 0.1, "times": 2,
                                                            "match": "storage"}]
    same("429 and resets: the run ends well", project.finish(), 0)
    whole("429 and resets", project, server)
    same("429 and resets: all faults were met", sum(f["times"] for f in server.faults), 0)
    project.close()
    server.close()


def full_disk(program):
    """No file may grow past a limit, as if the disk were full: the run's log is the first to hit it, then its events. The
    provider is another process, with room."""
    server = Server(KEY)
    project = online(program, server, epochs=50)
    with subprocess.Popen([program, "serve", "--port", "0", "--json", "--quiet", "--dir", project.folder + "/local"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=project.env) as provider:
        url = json.loads(provider.stdout.readline())["url"]
        project.env.update(OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-local-1234567890")
        command = [program, "run", "--yes", "toy.lua"]
        limited = subprocess.run(["sh", "-c", "trap '' XFSZ; ulimit -f 96; exec \"$@\"", "sh", *command], cwd=project.folder,
                                 env=project.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True, timeout=120)
        check("full disk: what W&B lacks is said", "the wandb tracker stopped" in limited.stderr, limited.stderr)
        same("full disk: the run stops there", limited.returncode, 11)
        done = subprocess.run(command, cwd=project.folder, env=project.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=120)
        check("full disk: with room the same command ends the run", done.returncode == 0, done.stderr)
        provider.terminate()
    whole("full disk", project, server)
    project.close()
    server.close()
    # only the run's log finds no room, in the middle of the run: that one ends well, and sync makes the log anew
    server = Server(KEY)
    project = online(program, server, epochs=50)
    project.env["WANDB_MODE"] = "offline"
    limited = subprocess.run(["sh", "-c", "trap '' XFSZ; ulimit -f 400; exec \"$@\"", "sh", program, "run", "--yes", "--local",
                              "toy.lua"], cwd=project.folder, env=project.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=120)
    same("no room for the log: the run ends well", limited.returncode, 0)
    again = re.search(r"log the run afterwards: ftrun (.*)", limited.stderr)
    check("no room for the log: what logs it afterwards is said", again, limited.stderr)
    del project.env["WANDB_MODE"]
    done = subprocess.run([program, *again.group(1).split()], cwd=project.folder, env=project.env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    check("no room for the log: sync makes it anew", done.returncode == 0, done.stdout)
    whole("no room for the log", project, server)
    project.close()
    server.close()


# ---- the stop button ----

def stopped(program):
    for on_stop, code in (("detach", 130), ("cancel", 9)):
        server = Server(KEY)
        project = online(program, server, epochs=50)
        path = project.folder + "/toy.lua"
        with open(path, encoding="utf-8") as f:
            text = f.read().replace('group = "g"', f'group = "g", on_stop = "{on_stop}"').replace("batch_size = 4", "batch_size = 1")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        process = project.start()
        while process.poll() is None and not (server.runs and the_run(server).history()):
            time.sleep(0.005)
        the_run(server).stop = True
        _, messages = process.communicate(timeout=120)
        same(f"Stop, {on_stop}: the exit code", process.returncode, code)
        check(f"Stop, {on_stop}: it is said", "Stop was pressed at W&B" in messages, messages)
        if on_stop == "detach":
            same("Stop, detach: the run has no end yet", only_run(server).exit_code, None)
            same("Stop, detach: the same command goes on", project.finish(), 0)
            whole("Stop, detach", project, server)
        else:
            whole("Stop, cancel", project, server, 9)
            same("Stop, cancel: the state", only_run(server).summary()["state"], "cancelled")
        project.close()
        server.close()


# ---- secrets ----

def no_key(project, server):
    hidden = KEY.encode()
    for folder, _, names in os.walk(project.folder):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                check("no key in " + name, hidden not in f.read())
    check("no key in messages", KEY not in project.messages)
    for run in server.runs.values():
        check("no key in what was sent", KEY not in json.dumps([run.stream, run.config, run.variables]))
        check("no key in files that were sent", not any(hidden in f for f in run.files.values()))


def no_key_in_title(program):
    server = Server(KEY)
    project = online(program, server, epochs=50)
    process = project.start()
    while process.poll() is None and not server.runs:
        time.sleep(0.005)
    for name in ("cmdline", "comm", "status"):
        with open(f"/proc/{process.pid}/{name}", "rb") as f:
            check(f"no key in /proc/PID/{name}", KEY.encode() not in f.read())
    process.kill()
    process.communicate()
    # a key out of netrc does as well
    del project.env["WANDB_API_KEY"]
    with open(project.folder + "/.netrc", "w", encoding="utf-8") as f:
        f.write(f"machine {server.url[7:]} login user password {KEY}\n")
    same("a key of netrc: the run goes on", project.finish(), 0)
    whole("a key of netrc", project, server)
    os.unlink(project.folder + "/.netrc")
    no_key(project, server)
    project.close()
    server.close()


PARTS = [("sdk", sdk_online), ("sdk-faults", sdk_through_faults), ("sdk-offline", sdk_offline), ("ways", three_ways),
         ("killed", killed), ("away", away), ("storm", storm), ("disk", full_disk), ("stop", stopped),
         ("key", no_key_in_title)]


def main():
    """Every part in a process of its own, all at once: they mostly wait."""
    program, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    if len(wanted) == 1:
        return dict(PARTS)[wanted[0]](program)
    started = time.time()
    parts = [(name, tempfile.TemporaryFile("w+")) for name, _ in PARTS if not wanted or name in wanted]
    processes = [subprocess.Popen([sys.executable, __file__, program, name], stdout=out, stderr=subprocess.STDOUT)
                 for name, out in parts]
    failed = False
    for (name, out), process in zip(parts, processes):
        failed = process.wait() != 0 or failed
        out.seek(0)
        print(f"-- {name}, {time.time() - started:.1f} s\n{out.read()}", flush=True)
    for what, why in DIFFERENCES.items():
        print(f"   differs: {what}: {why}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
