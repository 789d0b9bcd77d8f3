"""Requests that no client should make, over plain sockets.

usage: rude_client.py PORT    prints a line a case: its name, and the status of the answer, or "none"
"""
import socket
import sys

HOST = b"Host: 127.0.0.1\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=x\r\n"

CASES = {
    "huge header": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200000 + b"\r\n\r\n",
    "many headers": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"".join(b"X%d: y\r\n" % i for i in range(20000)) + b"\r\n",
    "huge path": b"GET /v1/" + b"a" * 100000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "negative length": b"POST /v1/files HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n",
    "length that is none": b"POST /v1/files HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n",
    "bad chunk": b"POST /v1/fine_tuning/jobs HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "bad form": b"POST /v1/files HTTP/1.1\r\n" + HOST + FORM + b"Content-Length: 10\r\n\r\n0123456789",
    "form without parts": b"POST /v1/files HTTP/1.1\r\n" + HOST + FORM + b"Content-Length: 5\r\n\r\n--x--",
    "foreign method": b"PUT /v1/files HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "foreign host": b"GET /v1/models HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "path upwards": b"GET /v1/files/../../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
    "path upwards, encoded": b"GET /v1/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd/content HTTP/1.1\r\n" + HOST + b"\r\n",
    "body that is no JSON": b"POST /v1/fine_tuning/jobs HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\n\xff{]",
    "deep JSON": b"POST /v1/fine_tuning/jobs HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n" + b"[" * 100000,
}


def connect(port):
    made = socket.create_connection(("127.0.0.1", port))
    made.settimeout(10)
    return made


def status(connection, request):
    try:
        connection.sendall(request)
        answer = b""
        while b"\r\n" not in answer:
            data = connection.recv(4096)
            if not data:
                return "none"
            answer += data
        return answer.split(b" ")[1].decode()
    except OSError:
        return "none"


def main(port):
    for name, request in CASES.items():
        with connect(port) as connection:
            print(f"{name}: {status(connection, request)}", flush=True)
    slow = [connect(port) for _ in range(1000)]
    for connection in slow:
        connection.sendall(b"GET /v1/mo")  # those beyond the server's limit wait in the system
    with connect(port) as connection:
        print("beside 1000 that never finish:", status(connection, b"GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"), flush=True)
    for connection in slow:
        connection.close()
    with connect(port) as connection:
        print("afterwards:", status(connection, b"GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"), flush=True)
    print("end", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
