"""A hundred thousand malformed requests: no answer of 500 or above, and nothing acknowledged is lost. See README.md."""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "service"))
import asgi  # noqa: E402
import mutations  # noqa: E402

from fraud.rules.reactions import ReactionStore  # noqa: E402
from fraud.service.app import Service, create_app  # noqa: E402
from fraud.service.current import Current  # noqa: E402

LINES = (
    b"POST /check HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{", b"GET\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"POST /check HTTP/9.9\r\n\r\n",
    b"POST /check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"POST /check HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", b"POST /check HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
)  # fmt: skip


def recorded(status: int, method: str, path: str, answer: bytes) -> int:
    """Reactions an answer acknowledges."""
    if status != 200 or method != "POST" or path not in ("/reaction", "/fsi/3103"):
        return 0
    told = json.loads(answer)
    return told.get("recorded") or told["output"]["recorded"]


async def in_process(folder: Path, seed: int, count: int) -> tuple[Counter, int, int]:
    """Status codes; reactions acknowledged; reactions in the log."""
    service = Service(Current(), ReactionStore(folder / "process.sqlite"))
    app, statuses, acknowledged = create_app(service), Counter(), 0
    for method, path, body, headers in mutations.requests(seed, count):
        status, answer = await asgi.call(app, method, path, body, headers)
        statuses[status] += 1
        acknowledged += recorded(status, method, path, answer)
    service.reactions.close()
    return statuses, acknowledged, len(ReactionStore(folder / "process.sqlite").all())


async def over_socket(port: int, seed: int, count: int) -> tuple[Counter, int]:
    """The same over connections of their own, with malformed HTTP among them; ``closed`` is a connection without an answer."""
    rnd, statuses, acknowledged = random.Random(seed), Counter(), 0
    for method, path, body, _ in mutations.requests(seed, count):
        whole = b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (method.encode(), path.encode(), len(body)) + body
        if rnd.random() < 0.2:
            whole, path = rnd.choice(LINES), ""
        elif rnd.random() < 0.1:
            whole, path = whole[: rnd.randrange(len(whole))], ""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = b""
        try:
            writer.write(whole)
            if not path:  # nothing more will come: an unfinished request must not be waited for
                writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 20)
        except (ConnectionError, TimeoutError) as error:
            statuses[type(error).__name__] += 1
            continue
        finally:
            writer.close()
        status = answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/") else "closed"
        statuses[int(status) if status.isdigit() else status] += 1
        if status == "200":
            acknowledged += recorded(200, method, path, answer.partition(b"\r\n\r\n")[2])
    return statuses, acknowledged


def serve(folder: Path) -> tuple[subprocess.Popen, int]:
    """A server process on a free port."""
    (folder / "fraud.toml").write_text(f'[service]\nport = 0\nhistory = ""\nreactions = "{folder / "socket.sqlite"}"\n', encoding="utf-8")
    command = [sys.executable, "-c", "from fraud.cli import main; main()", "serve", "--config", str(folder / "fraud.toml")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stderr=log, cwd=ROOT)
    while "http://" not in (text := (folder / "log").read_text()):
        assert server.poll() is None, text
        time.sleep(0.1)
    return server, int(text.split("http://127.0.0.1:")[1].split()[0])


def main() -> None:
    """Fire, count, write fuzz.md; the exit code tells whether all held."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--socket", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "fuzz.md")
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inside, told, kept = asyncio.run(in_process(folder, given.seed, given.requests))
        server, port = serve(folder)
        try:
            outside, told_too = asyncio.run(over_socket(port, given.seed + 1, given.socket))
            alive = server.poll() is None
        finally:
            server.terminate()
            server.wait(30)
        kept_too = len(ReactionStore(folder / "socket.sqlite").all())
        log = (folder / "log").read_text()
    names = sorted({*inside, *outside}, key=str)
    lines = ["| status | in process | over a socket |", "| --- | ---: | ---: |"]
    lines += [f"| {n} | {inside[n]:,} | {outside[n]:,} |" for n in names]
    # A request cut off before its end may be answered 400 or not at all; what the log holds may be more than was read back.
    held = not any(isinstance(n, int) and n >= 500 for n in names) and told == kept and told_too <= kept_too and alive
    text = (
        f"`python experiments/prescription_check/fuzz.py --requests {given.requests} --socket {given.socket} --seed {given.seed}`\n\n" + "\n".join(lines)
        + f"\n\nReactions acknowledged and in the log: {told:,} and {kept:,} in process, {told_too:,} and {kept_too:,} over a socket. "
        f"Internal errors in the server's log: {log.count('internal')}. The server was {'alive' if alive else 'DEAD'} at the end.\n"
    )  # fmt: skip
    given.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
