"""Many requests at once to a SavedModel behind an HTTP server, of which a tenth are malformed.

python tests/load_test.py --requests 10000

Each malformed request must get an error, of its own or of a row, each other one the answer that it gets when the model
is asked of it alone, and the server must neither end nor grow.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "saved_models" / "char-gpt" / "1"
PROMPTS = [
    "The ",
    "A",
    "value of the expression ",
    "In this case, the name is bound to the object. " * 5,
    "x = [1, 2]\n",
]


@contextmanager
def server(directory: Path) -> Iterator[tuple[int, int]]:
    """A server of a SavedModel: its port and its process."""
    command = [sys.executable, str(ROOT / "tests" / "model_server.py"), str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
        assert process.poll() is None, f"the server ended with {process.returncode}"
    finally:
        process.kill()
        process.wait()


def ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, dict]:
    """Status and answer."""
    connection.request("POST", "/v1/models/any:predict", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def request(signature: str = "generate", **inputs) -> bytes:
    return json.dumps({"signature_name": signature, "inputs": inputs}).encode()


def well_formed(rng: np.random.Generator) -> bytes:
    """Greedy and drawn, of one prompt or several, short and past the model's positions."""
    prompts = [str(text)[: rng.integers(1, 250)] for text in rng.choice(PROMPTS, rng.integers(1, 3))]
    options = {"max_new_tokens": int(rng.integers(0, 9)), "temperature": float(rng.integers(0, 3) / 2)}
    return request(prompt=prompts, **options, top_k=int(rng.integers(0, 9)), seed=int(rng.integers(0, 5)))


MALFORMED = {
    "no JSON": b'{"signature_name": "generate", "inputs": ',
    "no inputs": request(),
    "an unknown input": request(prompt=["a"], prompts=["a"]),
    "an unknown signature": request("serve", prompt=["a"]),
    "numbers for strings": request(prompt=[1, 2]),
    "a string for a number": request(prompt=["a"], max_new_tokens="many"),
    "no batch": request(prompt="a"),
    "too many axes": request(prompt=[["a"], ["b"]]),
    "a batch of options": request(prompt=["a"], temperature=[0.5]),
    "an empty batch": request(prompt=[]),
    "an empty text": request(prompt=["a", ""]),
    "unknown characters": request(prompt=["\u2603"]),
    "no UTF-8": request(prompt=["a", {"b64": base64.b64encode(b"a\xff\xfe").decode()}]),
    "an enormous text": request(prompt=["a" * (2**20 + 1)]),
    "an enormous body": b"{" + b" " * 2**22 + b"}",
    "enormous counts": request(prompt=["a"], max_new_tokens=2**31 - 1),
    "counts past an integer": request(prompt=["a"], max_new_tokens=2**40),
    "a negative count": request(prompt=["a"], max_new_tokens=-1),
    "a temperature below 0": request(prompt=["a"], temperature=-1.0),
    "a probability above 1": request(prompt=["a"], top_p=1.5),
}


@dataclasses.dataclass
class Report:
    """What came of a load."""

    requests: int
    malformed: int
    seconds: float = 0.0
    wrong: list[str] = dataclasses.field(default_factory=list)
    megabytes: list[float] = dataclasses.field(default_factory=list)
    statuses: Counter = dataclasses.field(default_factory=Counter)


def load(directory: Path, count: int, *, threads: int = 8, distinct: int = 60, seed: int = 0) -> Report:
    """Sends so many requests, a tenth of them malformed, from several threads at once."""
    rng = np.random.default_rng(seed)
    good, bad = [well_formed(rng) for _ in range(distinct)], list(MALFORMED)
    kinds = rng.permutation(np.arange(count) < count // 10)
    which = rng.integers(0, 10**6, count)
    report = Report(count, int(kinds.sum()))
    lock = threading.Lock()
    with server(directory) as (port, process):
        first = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        wanted = [ask(first, body) for body in good]
        assert all(status == 200 for status, _ in wanted), [answer for status, answer in wanted if status != 200]
        turns = iter(range(count))

        def work() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            while True:
                with lock:
                    i = next(turns, None)
                if i is None:
                    return
                name = bad[which[i] % len(bad)] if kinds[i] else ""
                try:
                    status, answer = ask(connection, MALFORMED[name] if name else good[which[i] % distinct])
                except (OSError, http.client.HTTPException):  # it reads no body that is too large
                    connection.close()
                    status, answer = (413, {"error": ""}) if name == "an enormous body" else (0, {})
                right = refused(status, answer) if name else (status, answer) == wanted[which[i] % distinct]
                with lock:
                    report.statuses[status] += 1
                    if not right:
                        report.wrong.append(f"{name or good[which[i] % distinct]!r}: {status} {str(answer)[:200]}")
                    if i % max(count // 20, 1) == 0:
                        report.megabytes.append(resident(process))

        began = time.perf_counter()
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        report.seconds = time.perf_counter() - began
        report.megabytes.append(resident(process))
    return report


def refused(status: int, answer: dict) -> bool:
    """Whether a request or one of its rows got an error."""
    return any(answer["outputs"]["error"]) if status == 200 else 400 <= status < 500 and "error" in answer


def resident(process: int) -> float:
    """The memory of a process, in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help="directory of a SavedModel; %(default)s")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    report = load(options.model, options.requests, threads=options.threads)
    print(f"{report.requests} requests, {report.malformed} of them malformed, in {report.seconds:.0f} s")
    print(f"statuses: {dict(report.statuses)}; wrong answers: {len(report.wrong)}")
    print("memory, MB:", *(f"{size:.0f}" for size in report.megabytes))
    sys.exit("\n".join(report.wrong[:9]) or 0)


if __name__ == "__main__":
    main()
