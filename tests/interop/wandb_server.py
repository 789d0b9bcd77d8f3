"""A W&B server for tests: runs, file_stream, run files, artifacts. It keeps what arrives, by run, and says what was
wrong with it (`problems`). Faults are switched on by `faults` or by a POST of the same to /control.

    server = Server(KEY)                        in a thread of the test
    python wandb_server.py KEY                  alone; prints its URL; GET /control tells what it has

A fault is {"what": "status" | "before" | "after", "status": 429, "retry_after": 0.1, "times": 3, "match": "file_stream"}:
an answer of its own, or a connection that is reset before or after the request was carried out. `match` is a part of the
path or of the operation's name. An operation that the server does not know is an error that no client repeats.
"""
import base64
import hashlib
import json
import re
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Run:
    """What the server knows about one run."""

    def __init__(self, name):
        self.name = name
        self.id = base64.b64encode(f"Bucket:v1:{name}".encode()).decode()
        self.variables = {}   # newest non-null variables of UpsertBucket
        self.config = {}
        self.stream = {}      # file name -> {line number: text}
        self.changed = []     # history lines that came again with another text
        self.repeated = 0     # of them, with any text
        self.exit_code = None
        self.complete = 0     # posts with complete
        self.stop = False     # the stop button is pressed
        self.files = {}       # uploaded bytes by name
        self.told = set()     # names that file_stream called uploaded
        self.posts = 0
        self.inputs, self.outputs = [], []  # artifacts

    def lines(self, name):
        stream = self.stream.get(name, {})
        return [stream[i] for i in sorted(stream)]

    def gaps(self, name):
        stream = self.stream.get(name, {})
        return sorted(set(range(len(stream))) - set(stream))

    def history(self):
        return [json.loads(line) for line in self.lines("wandb-history.jsonl")]

    def summary(self):
        lines = self.lines("wandb-summary.json")
        return json.loads(lines[-1]) if lines else {}

    def plain_config(self):
        return {k: v["value"] for k, v in self.config.items() if k != "_wandb"}

    def as_json(self):
        return {"config": self.config, "history": self.history(), "summary": self.summary(), "exit": self.exit_code,
                "console": self.lines("output.log"), "files": sorted(self.files), "posts": self.posts,
                "inputs": [a.full_name() for a in self.inputs], "outputs": [a.full_name() for a in self.outputs]}


class Artifact:
    def __init__(self, number, variables, run):
        self.id = base64.b64encode(f"Artifact:{number}".encode()).decode()
        self.type, self.name = variables["artifactTypeName"], variables["artifactCollectionName"]
        self.digest, self.metadata = variables["digest"], json.loads(variables.get("metadata") or "{}") or {}
        self.client_id = variables.get("clientID")
        self.aliases = [a["alias"] for a in variables.get("aliases") or []]
        self.state, self.run, self.version = "PENDING", run, None
        self.files, self.digests, self.manifest = {}, {}, None

    def full_name(self):
        return f"{self.type}/{self.name}:v{self.version}"


class Server:
    def __init__(self, key, entity="team", port=0):
        self.runs, self.operations, self.problems, self.artifacts, self.faults = {}, [], [], [], []
        self.requests, self.connections = 0, set()
        self.key_in_store = False  # a client has shown its key to the store (the SDK's legacy sync does)
        self.entity = entity
        self.authorization = "Basic " + base64.b64encode(f"api:{key}".encode()).decode()
        self.lock = threading.RLock()
        self.http = None
        self.up(port)

    def up(self, port=None):
        """Listens, again on the same port."""
        port = self.port if port is None else port
        ThreadingHTTPServer.allow_reuse_address = True
        self.http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def down(self):
        """Refuses connections, and ends those that stand."""
        if self.http:
            self.http.shutdown()
            self.http.server_close()
        self.http = None
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # its client was quicker

    close = down

    def run(self, name):
        return self.runs.setdefault(name, Run(name))

    def problem(self, text):
        self.problems.append(text)

    # ---- GraphQL ----

    def graphql(self, body):
        name = body.get("operationName") or re.search(r"(?:query|mutation)\s+(\w+)", body["query"]).group(1)
        variables = body.get("variables") or {}
        self.operations.append(name)
        answer = getattr(self, "op_" + name, None)
        if not answer:
            return 400, {"errors": [{"message": f"no operation {name}"}]}
        return 200, {"data": answer(variables.get("input") or variables)}

    def op_Viewer(self, _):
        return {"viewer": {"id": "VXNlcjox", "entity": self.entity, "username": "u", "email": "u@example.org",
                           "flags": "{}", "teams": {"edges": []}},
                "serverInfo": {"cliVersionInfo": {"max_cli_version": "99.0.0"}, "latestLocalVersionInfo": None}}

    def op_ServerFeaturesQuery(self, _):
        return {"serverInfo": {"features": []}}

    def op_OrganizationCoreWeaveOrganizationID(self, _):
        return {"entity": None}

    def op_ArtifactType(self, _):
        return {"project": None}

    def op_RunResumeStatus(self, v):
        run = self.runs.get(v["name"])
        if not run:
            return {"model": None}

        def tail(name):
            return json.dumps(run.lines(name)[-1:])
        return {"model": {"id": "P", "name": v.get("project"), "entity": {"id": "E", "name": self.entity}, "bucket": {
            "id": run.id, "name": run.name, "summaryMetrics": json.dumps(run.summary()), "config": json.dumps(run.config),
            "displayName": run.variables.get("displayName"), "tags": run.variables.get("tags"),
            "notes": run.variables.get("notes"), "historyLineCount": len(run.lines("wandb-history.jsonl")),
            "eventsLineCount": len(run.lines("wandb-events.jsonl")), "logLineCount": len(run.lines("output.log")),
            "historyTail": tail("wandb-history.jsonl"), "eventsTail": tail("wandb-events.jsonl"),
            "wandbConfig": json.dumps({"t": run.config.get("_wandb", {}).get("value", {}).get("t", {})})}}}

    def op_UpsertBucket(self, v):
        known = v["name"] in self.runs
        run = self.run(v["name"])
        run.variables.update({k: x for k, x in v.items() if x is not None})
        if v.get("config"):
            run.config = json.loads(v["config"])
        if v.get("id") and v["id"] != run.id:
            self.problem(f"UpsertBucket with another run's id: {v['id']}")
        return {"upsertBucket": {"bucket": {
            "id": run.id, "name": run.name, "displayName": run.variables.get("displayName") or "name-1",
            "description": None, "config": None, "sweepName": None,
            "historyLineCount": len(run.lines("wandb-history.jsonl")),
            "project": {"id": "P", "name": v.get("project") or "uncategorized",
                        "entity": {"id": "E", "name": v.get("entity") or self.entity}}}, "inserted": not known}}

    def op_CreateRunFiles(self, v):
        return {"createRunFiles": {"runID": "R", "uploadHeaders": ["X-Of-The-Store: 1"], "files": [
            {"name": name, "uploadUrl": f"{self.url}/storage/run/{v['run']}/{name}"} for name in v["files"]]}}

    # ---- artifacts ----

    def artifact(self, artifact_id):
        return next(a for a in self.artifacts if a.id == artifact_id)

    def versions(self, name):
        return [a for a in self.artifacts if a.name == name and a.state == "COMMITTED"]

    def op_CreateArtifact(self, v):
        if "artifactCollectionNames" in v and not v.get("artifactCollectionName"):  # the SDK's legacy sync
            v["artifactCollectionName"] = v["artifactCollectionNames"][0]
        run = self.runs.get(v.get("runName"))
        if v.get("runName") and not run:
            self.problem(f"artifact of an unknown run {v['runName']}")
        same = [a for a in self.versions(v["artifactCollectionName"]) if a.digest == v["digest"]]
        made = same[0] if same else Artifact(len(self.artifacts), v, run)
        if same:
            made.aliases = sorted(set(made.aliases) | {a["alias"] for a in v.get("aliases") or []})
        else:
            self.artifacts.append(made)
        if run and made not in run.outputs and same:
            run.outputs.append(made)
        latest = self.versions(made.name)
        return {"createArtifact": {"artifact": {"id": made.id, "state": made.state, "artifactSequence": {
            "id": "S", "latestArtifact": {"id": latest[-1].id, "versionIndex": latest[-1].version} if latest else None}}}}

    def op_CreateArtifactManifest(self, v):
        made = self.artifact(v["artifactID"])
        made.manifest_digest = v.get("digest")
        return {"createArtifactManifest": {"artifactManifest": {"id": "M:" + made.id, "file": {
            "id": "F", "name": v["name"], "displayName": v["name"], "uploadHeaders": [],
            "uploadUrl": f"{self.url}/storage/manifest/{made.id}"}}}}

    def op_CreateArtifactFiles(self, v):
        edges = []
        for spec in v["artifactFiles"]:
            made = self.artifact(spec["artifactID"])
            made.digests[spec["name"]] = spec["md5"]
            edges.append({"node": {"id": "F", "name": spec["name"], "displayName": spec["name"], "storagePath": "s",
                                   "uploadUrl": f"{self.url}/storage/artifact/{made.id}/{spec['name']}",
                                   "uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": made.id}}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def op_CommitArtifact(self, v):
        made = self.artifact(v["artifactID"])
        self.check_artifact(made)
        if made.state != "COMMITTED":
            made.version, made.state = len(self.versions(made.name)), "COMMITTED"
            if made.run:
                made.run.outputs.append(made)
        return {"commitArtifact": {"artifact": {"id": made.id, "digest": made.digest}}}

    def check_artifact(self, made):
        """What is committed must be whole: a manifest, each file with its digest, the digest of them all."""
        if not made.manifest:
            return self.problem(f"{made.name}: committed without a manifest")
        contents = made.manifest["contents"]
        text = "wandb-artifact-manifest-v1\n"
        for path in sorted(contents):
            entry = contents[path]
            text += f"{path}:{entry['digest']}\n"
            if "ref" in entry:
                continue
            data = made.files.get(path)
            if data is None or md5(data) != entry["digest"] or len(data) != entry.get("size", 0):
                self.problem(f"{made.name}: {path} is not what the manifest says")
        if hashlib.md5(text.encode()).hexdigest() != made.digest:
            self.problem(f"{made.name}: the digest is not that of the manifest")

    def op_UseArtifact(self, v):
        made, run = self.artifact(v["artifactID"]), self.run(v["runName"])
        if made not in run.inputs:
            run.inputs.append(made)
        return {"useArtifact": {"artifact": {"id": made.id}}}

    def op_ClientIDMapping(self, v):
        found = [a for a in self.artifacts if a.client_id == v.get("clientID")]
        return {"clientIDMapping": {"serverID": found[0].id} if found else None}

    def op_ArtifactByID(self, v):
        return {"artifact": self.fragment(self.artifact(v["id"]))}

    def op_ArtifactMembershipByName(self, v):
        name, _, alias = v["name"].partition(":")
        found = [a for a in self.versions(name) if alias in a.aliases + [f"v{a.version}"] or alias == "latest"]
        return {"project": {"artifactCollectionMembership": None if not found else {
            "id": "AM", "versionIndex": found[-1].version, "aliases": [],
            "artifact": self.fragment(found[-1]), "artifactCollection": self.collection(found[-1])}}}

    def collection(self, a):
        return {"__typename": "ArtifactSequence", "id": "S", "name": a.name,
                "project": {"id": "P", "internalId": "UHJvamVjdDoxOjE=", "name": "p",
                            "entity": {"id": "E", "name": self.entity}}}

    def fragment(self, a):
        return {"id": a.id, "digest": a.digest, "state": a.state, "size": 0, "fileCount": len(a.files), "commitHash": a.digest,
                "description": None, "metadata": json.dumps(a.metadata), "ttlDurationSeconds": -2, "ttlIsInherited": True,
                "tags": [], "historyStep": None, "versionIndex": a.version, "createdAt": "2026-01-01T00:00:00Z",
                "updatedAt": "2026-01-01T00:00:00Z", "artifactType": {"id": "T", "name": a.type},
                "artifactSequence": self.collection(a), "aliases": [], "artifactMemberships": {"edges": []},
                "currentManifest": {"id": "M", "file": {"directUrl": f"{self.url}/storage/manifest/{a.id}"}}}

    # ---- streams and files ----

    def file_stream(self, run, body):
        run.posts += 1
        for name, chunk in (body.get("files") or {}).items():
            lines = run.stream.setdefault(name, {})
            for i, line in enumerate(chunk["content"]):
                at = chunk["offset"] + i
                if name == "wandb-history.jsonl" and at in lines:
                    run.repeated += 1
                    if lines[at] != line:
                        run.changed.append((name, at, lines[at], line))
                lines[at] = line
        run.told.update(body.get("uploaded") or [])
        if body.get("complete"):
            run.exit_code = body.get("exitcode")
            run.complete += 1
        return {"exitcode": None, "limits": {}, **({"stopped": True} if run.stop else {})}

    def store(self, path, data):
        kind, name, rest = (path.split("/", 2) + [""])[:3]
        if kind == "run":
            self.run(name).files[rest] = data
        elif kind == "manifest":
            made = self.artifact(name)
            if made.manifest_digest != md5(data):
                self.problem(f"{made.name}: the manifest's digest is not that of its bytes")
            made.manifest = json.loads(data)
        else:
            self.artifact(name).files[rest] = data

    # ---- HTTP ----

    def fault(self, path, body):
        """The first fault that fits a request, used up once."""
        where = path
        if path == "/graphql":
            where += " " + str(body.get("operationName"))
        for fault in self.faults:
            if fault.get("times", 1) > 0 and fault.get("match", "") in where:
                fault["times"] = fault.get("times", 1) - 1
                return fault
        return None

    def answer(self, method, path, headers, data):
        """Carries a request out: status and JSON."""
        if method == "PUT" and path.startswith("/storage/"):
            if headers.get("Authorization"):
                self.key_in_store = True
            self.store(unquote(path[len("/storage/"):]), data)
            return 200, {}
        stream = re.fullmatch(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream", path)
        if method != "POST" or path != "/graphql" and not stream:
            return 200 if path.startswith("/sdk/") else 404, {}
        if headers.get("Authorization") != self.authorization:
            self.problem(f"wrong key for {path}")
            return 401, {"errors": [{"message": "wrong key"}]}
        value = json.loads(data)
        if stream:
            return 200, self.file_stream(self.run(unquote(stream.group(3))), value)
        return self.graphql(value)

    def control(self, data):
        value = json.loads(data)
        if "faults" in value:
            self.faults = value["faults"]
        for name in value.get("stop", []):
            self.run(name).stop = True
        return 200, {}

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def setup(self):
                super().setup()
                server.connections.add(self.connection)

            def reply(self, status, value, headers=None):
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, text in (headers or {}).items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(data)

            def reset(self):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

            def any(self):
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with server.lock:
                    server.requests += 1
                    if self.path == "/control":
                        return self.reply(*server.control(data))
                    try:
                        value = json.loads(data) if self.path == "/graphql" else {}
                        fault = server.fault(self.path, value)
                        if fault and fault["what"] == "before":
                            return self.reset()
                        if fault and fault["what"] == "status":
                            after = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
                            return self.reply(fault["status"], {"errors": [{"message": "a fault"}]}, after)
                        status, answer = server.answer(self.command, self.path, self.headers, data)
                        if fault:
                            return self.reset()
                    except Exception as e:  # the test must hear of it, and the client must not wait for ever
                        server.problem(f"{self.path}: {e!r}")
                        status, answer = 400, {"errors": [{"message": repr(e)}]}
                    self.reply(status, answer)

            do_POST = do_PUT = any

            def do_GET(self):
                with server.lock:
                    if self.path == "/control":
                        return self.reply(200, {"runs": {n: r.as_json() for n, r in server.runs.items()},
                                                "problems": server.problems, "operations": server.operations})
                    if self.path.startswith("/storage/manifest/"):
                        return self.reply(200, server.artifact(unquote(self.path.split("/", 3)[3])).manifest)
                    self.reply(404, {})

            def handle(self):
                try:
                    super().handle()
                except (ConnectionError, ValueError, OSError):
                    pass  # a client that has what it wants need not say goodbye

            def finish(self):
                server.connections.discard(self.connection)
                try:
                    super().finish()
                except (ConnectionError, ValueError, OSError):
                    pass

        return Handler


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


if __name__ == "__main__":
    alone = Server(sys.argv[1])
    print(alone.url, flush=True)
    threading.Event().wait()
