"""ftrun as a client of a real TLS server, over HTTP/1.1 and HTTP/2, with an authority of its own, and through proxies.

usage: tls_client.py FTRUN    behind every server here stands `ftrun serve`; exit code 1 when something is not as it should be
"""
import base64
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events

from spec_proxy import Program, serve

HOST = "api.example.test"  # resolved by the proxy alone
USER, PASSWORD = "proxyuser", "pr0xy-pa55word"
failures = 0


def check(what, good, detail=""):
    global failures
    failures += not good
    print(("ok " if good else "not ok ") + what + ("" if good else f"\n{detail}"), flush=True)


# ---- certificates ----

def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def certificates(folder):
    """ca.pem, another authority's other.pem, and good.pem and expired.pem with key.pem."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ("ca", "other"):
        openssl(folder, "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
                "-days", "2")
    openssl(folder, "req", *key, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost")
    (folder / "names").write_text(f"subjectAltName=DNS:localhost,DNS:{HOST}\n")
    for name, days in (("good", "2"), ("expired", "-1")):
        openssl(folder, "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", days, "-extfile", "names", "-out", f"{name}.pem")


# ---- servers ----

class Listener:
    """Accepts connections, each in a thread of its own: `accepted` counts them."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port, self.accepted = self.socket.getsockname()[1], 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            self.accepted += 1
            threading.Thread(target=self.guarded, args=(connection,), daemon=True).start()

    def guarded(self, connection):
        try:
            self.serve(connection)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            connection.close()


def relay(one, other):
    """Bytes both ways until either side ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (other if ready is one else one).sendall(data)


class Tls(Listener):
    """TLS in front of a plain HTTP/1.1 server."""

    def __init__(self, folder, upstream, certificate="good", protocols=("http/1.1",), breaks=0):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / f"{certificate}.pem", folder / "key.pem")
        self.context.set_alpn_protocols(list(protocols))
        self.upstream, self.requests, self.handshakes = urlsplit(upstream).netloc, 0, 0
        self.h2_connections, self.most_at_once, self.breaks = 0, 0, breaks
        super().__init__()

    def serve(self, connection):
        if self.accepted <= self.breaks:  # in the middle of the handshake: once with a reset, once with an end
            connection.recv(1)
            if self.accepted % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        connection = self.context.wrap_socket(connection, server_side=True)
        self.handshakes += 1
        if connection.selected_alpn_protocol() == "h2":
            self.h2_connections += 1
            return Http2(self, connection).serve()
        self.relay(connection)

    def relay(self, connection):
        host, port = self.upstream.split(":")
        with socket.create_connection((host, int(port))) as other:
            while True:
                if connection.pending() or connection in select.select([connection, other], [], [])[0]:
                    data = connection.recv(65536)
                    self.requests += data.count(b" HTTP/1.1\r\n")
                    to = other
                else:
                    data, to = other.recv(65536), connection
                if not data:
                    return
                to.sendall(data)


class Http2:
    """One HTTP/2 connection; each stream is asked of the HTTP/1.1 server by a thread."""

    def __init__(self, server, connection):
        self.server, self.connection, self.lock = server, connection, threading.Condition(threading.Lock())
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams, self.at_once = {}, 0

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.connection.sendall(data)

    def serve(self):
        with self.lock:
            self.h2.initiate_connection()
            self.flush()
        while data := self.connection.recv(65536):
            with self.lock:
                for event in self.h2.receive_data(data):
                    self.take(event)
                self.flush()
                self.lock.notify_all()

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = (dict(event.headers), [])
            self.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.at_once)
            self.server.requests += 1
        elif isinstance(event, h2.events.DataReceived):
            self.streams[event.stream_id][1].append(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            threading.Thread(target=self.answer, args=(event.stream_id,), daemon=True).start()

    def answer(self, stream):
        headers, body = self.streams.pop(stream)
        time.sleep(0.02)  # others come meanwhile, when they are there
        upstream = HTTPConnection(self.server.upstream, timeout=60)
        upstream.request(headers[":method"], headers[":path"], b"".join(body) or None,
                         {k: v for k, v in headers.items() if not k.startswith(":")})
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        fields = [(k.lower(), v) for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding", "keep-alive")]
        with self.lock:
            self.h2.send_headers(stream, [(":status", str(answer.status)), *fields], end_stream=not data)
            while data:
                room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                if room <= 0:
                    self.flush()
                    self.lock.wait(10)
                    continue
                self.h2.send_data(stream, data[:room], end_stream=len(data) <= room)
                data = data[room:]
            self.at_once -= 1
            self.flush()


class ForwardProxy(Listener):
    """CONNECT to whatever name: it leads to one TLS server. Asks for a password."""

    def __init__(self, to):
        self.to, self.targets, self.refused, self.seen = to, [], 0, b""
        super().__init__()

    def serve(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return
            head += data
        self.seen += head
        wanted = b"Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode())
        if wanted not in head:
            self.refused += 1
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                               b"Content-Length: 0\r\n\r\n")
            return
        self.targets.append(head.split()[1].decode())
        with socket.create_connection(("127.0.0.1", self.to)) as other:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(connection, other)


# ---- what is looked at ----

class Client(Program):
    """ftrun with the settings of each call."""

    def __init__(self, binary, folder):
        super().__init__(binary, folder, "")

    def start(self, *args, **settings):
        return subprocess.Popen([self.binary, *args], cwd=self.folder, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "OPENAI_API_KEY": "sk-tls-test-key",
                                     **{k: str(v) for k, v in settings.items()}})

    def call(self, *args, **settings):
        process = self.start(*args, **settings)
        out, error = process.communicate(timeout=120)
        return subprocess.CompletedProcess(args, process.returncode, out, error)


def whole_runs(client, folder, upstream):
    for protocols, name in ((["http/1.1"], "HTTP/1.1"), (["h2", "http/1.1"], "HTTP/2")):
        server = Tls(folder, upstream, protocols=protocols)
        done = client.call("run", "toy.lua", "--yes", "--new", "--json", SSL_CERT_FILE=folder / "ca.pem",
                           OPENAI_BASE_URL=f"https://localhost:{server.port}/v1")
        result = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
        check(f"a whole run over TLS and {name}, with an authority of its own", result.get("state") == "succeeded", done.stderr)
        check(f"{name}: {server.requests} requests share one connection", server.requests > 8 and server.accepted == 1,
              f"{server.requests} requests, {server.accepted} connections")
        if name == "HTTP/2":
            check("HTTP/2 is taken where it is offered", server.h2_connections == 1)
            eager = Tls(folder, upstream, protocols=protocols)
            done = client.call("--set", "x=1", OPENAI_BASE_URL=f"https://localhost:{eager.port}/v1", FTRUN_LUA=client.many,
                               SSL_CERT_FILE=folder / "ca.pem")
            check(f"16 requests at once share one connection, {eager.most_at_once} at a time",
                  done.returncode == 0 and eager.accepted == 1 and eager.requests == 16 and eager.most_at_once > 4,
                  f"{done.stderr} accepted {eager.accepted} requests {eager.requests} at once {eager.most_at_once}")


def trust(client, folder, upstream):
    good, expired = Tls(folder, upstream), Tls(folder, upstream, "expired")

    def listing(what, code, parts, server=good, host="localhost", **settings):
        before = server.requests
        done = client.call("list", "--jobs", OPENAI_BASE_URL=f"https://{host}:{server.port}/v1", **settings)
        flat = " ".join(done.stderr.split())
        check(what, done.returncode == code and all(part in flat for part in parts)
              and (code == 0 or server.requests == before), f"{done.returncode}: {done.stderr}")

    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        listing(f"{name} names the authority", 0, [], **{name: folder / "ca.pem"})
    listing("CURL_CA_BUNDLE goes before SSL_CERT_FILE", 0, [], CURL_CA_BUNDLE=folder / "ca.pem",
            SSL_CERT_FILE=folder / "other.pem")
    hashed = folder / "hashed"
    hashed.mkdir()
    (hashed / "ca.pem").write_text((folder / "ca.pem").read_text())
    openssl(folder, "rehash", str(hashed))
    listing("SSL_CERT_DIR names a folder with the authority", 0, [], SSL_CERT_DIR=hashed)
    (client.folder / ".env").write_text(f"SSL_CERT_FILE={folder / 'ca.pem'}\n")
    listing(".env names the authority", 0, [])
    (client.folder / ".env").unlink()
    listing("an authority that nobody knows", 7, ["certificate", "SSL_CERT_FILE or CURL_CA_BUNDLE"])
    listing("another authority", 7, ["certificate", "SSL_CERT_FILE or CURL_CA_BUNDLE"], SSL_CERT_FILE=folder / "other.pem")
    listing("an expired certificate", 7, ["expired", "Check the date of this machine"], server=expired,
            SSL_CERT_FILE=folder / "ca.pem")
    listing("a certificate for another host", 7, ["127.0.0.1", "for another host"], host="127.0.0.1",
            SSL_CERT_FILE=folder / "ca.pem")
    listing("a file of certificates that is not there", 7, ["Check the path in SSL_CERT_FILE"],
            SSL_CERT_FILE=folder / "none.pem")
    shaky = Tls(folder, upstream, breaks=2)
    listing("connections that break while TLS is set up are made again", 0, ["the connection broke while TLS was set up"],
            server=shaky, SSL_CERT_FILE=folder / "ca.pem")
    done = client.call("run", "toy.lua", "--yes", "--new", OPENAI_BASE_URL=f"https://localhost:{expired.port}/v1",
                       SSL_CERT_FILE=folder / "ca.pem")
    check("a run against an expired certificate ends before anything is sent", done.returncode == 7 and "expired" in done.stderr
          and expired.requests == 0, done.stderr)


def past_it(client, proxy, **settings):
    """ftrun looks for a name for a while before it gives up: its first word on it is enough here."""
    before = proxy.accepted
    process = client.start("list", "--jobs", **settings)
    first = process.stderr.readline()
    process.terminate()
    process.communicate(timeout=20)
    check("NO_PROXY goes past it", "does not resolve" in first and proxy.accepted == before, first)


def proxies(client, folder, upstream):
    server = Tls(folder, upstream, protocols=("h2", "http/1.1"))
    proxy = ForwardProxy(server.port)
    good = f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}"
    base = {"OPENAI_BASE_URL": f"https://{HOST}/v1", "SSL_CERT_FILE": folder / "ca.pem"}

    def listing(what, code, parts=(), tunnels=None, **settings):
        before = len(proxy.targets)
        done = client.call("list", "--jobs", **base, **settings)
        text = done.stdout + done.stderr
        flat = " ".join(text.split())
        check(what, done.returncode == code and all(part in flat for part in parts) and PASSWORD not in text
              and (tunnels is None or len(proxy.targets) - before == tunnels), f"{done.returncode}: {text}")

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        listing(f"{name} leads through the proxy", 0, tunnels=1, **{name: good})
    check("the proxy is asked for the host, and sees no key", set(proxy.targets) == {f"{HOST}:443"}
          and b"sk-tls-test-key" not in proxy.seen)
    (client.folder / ".env").write_text(f"HTTPS_PROXY={good}\n")
    listing(".env names the proxy", 0, tunnels=1)
    (client.folder / ".env").unlink()
    past_it(client, proxy, HTTPS_PROXY=good, NO_PROXY=HOST, **base)
    bad = f"http://{USER}:not-{PASSWORD}@127.0.0.1:{proxy.port}"
    listing("a proxy that refuses the password", 7, ["the proxy refuses to connect (status 407)", "HTTPS_PROXY"], tunnels=0,
            HTTPS_PROXY=bad)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    listing("a proxy that is not there", 7, ["cannot connect to the proxy"], HTTPS_PROXY=f"http://{USER}:{PASSWORD}@127.0.0.1:{port}")
    done = client.call("run", "toy.lua", "--yes", "--new", "--json", HTTPS_PROXY=good, **base)
    result = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
    check("a whole run through the proxy", result.get("state") == "succeeded", done.stderr)
    kept = [p for p in (client.folder / ".ftrun").rglob("*") if p.is_file() and PASSWORD.encode() in p.read_bytes()]
    check("no file of a run holds the proxy's password", not kept, str(kept))


MANY = """
local providers, task = require "ftrun.providers", require "ft.task"
return function()
  local p, all = providers.open { name = "openai" }, {}
  for i = 1, 16 do all[i] = task.spawn(function() return p:models() end) end
  for _, one in ipairs(all) do one:join() end
  return 0
end
"""


def main(binary):
    with tempfile.TemporaryDirectory(prefix="ftrun-tls") as folder:
        folder = Path(folder)
        certificates(folder)
        process, upstream = serve(binary, str(folder))
        try:
            project = folder / "project"
            project.mkdir()
            client = Client(binary, project)
            (folder / "lua" / "ftrun").mkdir(parents=True)
            (folder / "lua" / "ftrun" / "cli.lua").write_text(MANY)
            client.many = folder / "lua"
            whole_runs(client, folder, upstream)
            trust(client, folder, upstream)
            proxies(client, folder, upstream)
        finally:
            process.terminate()
            process.wait(20)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main(sys.argv[1])
