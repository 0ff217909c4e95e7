"""``fraud serve``: comes up, answers, goes down; and says what is wrong where it cannot."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

COMMAND = [sys.executable, "-c", "from fraud.cli import main; main()", "serve"]
PROGESTERONE = {
    "patient": {"patient_id": "P1", "sex": "F"},
    "encounter": {
        "encounter_id": "V1",
        "visit_type": "outpatient",
        "started_at": "2026-11-21",
        "diagnoses": [{"code": "K30"}],
    },
    "orders": [{"item_name": "黄体酮胶囊", "category": "drug"}],
}


def settings(folder: Path, rules: str = "", port: int = 0) -> list[str]:
    (folder / "fraud.toml").write_text(
        f'[service]\nport = {port}\nhistory = ""\nreactions = "{folder / "reactions.sqlite"}"\n'
        f'[rules]\nfolder = "{rules}"\n',
        encoding="utf-8",
    )
    return ["--config", str(folder / "fraud.toml")]


def ask(address: str, path: str, content: object = None) -> tuple[int, dict]:
    data = None if content is None else json.dumps(content).encode()
    try:
        with urllib.request.urlopen(address + path, data=data, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_it_answers_on_a_socket_and_ends_on_interrupt(tmp_path):
    server = subprocess.Popen([*COMMAND, *settings(tmp_path)], stderr=subprocess.PIPE, text=True)
    try:
        address = server.stderr.readline().split()[-1]
        assert address.startswith("http://127.0.0.1:")
        status, answer = ask(address, "/check", PROGESTERONE)
        assert status == 200
        hit = answer["hits"][0]
        assert hit["name_zh"] == "超限定适应症用药" and hit["knowledge"]["contraindications_zh"]
        told = {"result_id": hit["result_id"], "way": "change"}
        assert ask(address, "/reaction", told) == (200, {"recorded": 1})
        assert ask(address, "/reaction", {"way": "x" * 1_000_100})[0] == 413
        assert ask(address, "/check", {})[0] == 422
    finally:
        server.send_signal(signal.SIGINT)
        _, rest = server.communicate(timeout=20)
    assert server.returncode == 0
    assert "P1" not in rest and "Traceback" not in rest


def test_a_taken_port_is_a_usage_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [*COMMAND, *settings(tmp_path, port=taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "cannot listen" in done.stderr


def test_broken_rules_are_told_before_it_starts(tmp_path):
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "own.toml").write_text("[[rule]]\ncode = 1\n", encoding="utf-8")
    done = subprocess.run(
        [*COMMAND, *settings(tmp_path, str(rules))], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "own.toml: rule 1" in done.stderr


def test_reactions_acknowledged_are_kept_when_the_server_is_killed(tmp_path):
    from fraud.rules.reactions import ReactionStore

    server = subprocess.Popen([*COMMAND, *settings(tmp_path)], stderr=subprocess.PIPE, text=True)
    address = server.stderr.readline().split()[-1]
    for number in range(5):
        told = {"result_id": "M-INDICATION.d4f539cc225b8720", "way": "carry_on", "reason": str(number)}
        assert ask(address, "/reaction", told)[0] == 200
    server.kill()  # not even asked to stop
    server.communicate(timeout=20)
    assert [r.reason for r in ReactionStore(tmp_path / "reactions.sqlite").all()] == list("01234")
