"""TLS in front of servers without it, whose certificate expires.

usage: tls_front.py FOLDER GOOD UPSTREAM_PORT...    FOLDER holds key.pem, good.pem and expired.pem

Listens on a port for each upstream and prints them in one line. The first has the good certificate for its first GOOD
connections, each further one for one more, and the expired one from then on, until FOLDER/renewed-UPSTREAM_PORT
exists. A connection carries one request.
"""
import os
import socket
import ssl
import sys
import threading


def context(folder, name):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(os.path.join(folder, name + ".pem"), os.path.join(folder, "key.pem"))
    return made


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(connection, tls, upstream):
    try:
        client = tls.wrap_socket(connection, server_side=True)
        head = b""
        while b"\r\n" not in head:
            data = client.recv(65536)
            if not data:
                return
            head += data
        with client, socket.create_connection(("127.0.0.1", upstream)) as server:
            server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            # the request goes on beside the answer; the server ends the connection
            beside = threading.Thread(target=pump, args=(client, server), daemon=True)
            beside.start()
            try:
                while data := server.recv(65536):
                    client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            finally:
                # closed under its hands, its descriptor would soon be another connection's, whose bytes it took
                beside.join()
    except OSError:
        connection.close()


def listen(folder, upstream, good_ones, listener):
    good, expired, count = context(folder, "good"), context(folder, "expired"), 0
    renewed = os.path.join(folder, f"renewed-{upstream}")
    while True:
        connection, _ = listener.accept()
        count += 1
        tls = expired if count > good_ones and not os.path.exists(renewed) else good
        threading.Thread(target=serve, args=(connection, tls, upstream), daemon=True).start()


def main(folder, good_ones, *upstreams):
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=100) for _ in upstreams]
    for i, (upstream, listener) in enumerate(zip(upstreams, listeners)):
        threading.Thread(target=listen, args=(folder, int(upstream), int(good_ones) + i, listener), daemon=True).start()
    print(*[listener.getsockname()[1] for listener in listeners], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
