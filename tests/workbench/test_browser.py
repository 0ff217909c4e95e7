"""An auditor at the keyboard, in a real browser: from signing in to a decision."""

import os
import re
import subprocess
import sys

import pytest
from chrome import PROGRAM, Chrome
from fixtures import PASSWORD
from run_folders import write_run

COMMAND = [sys.executable, "-c", "from fraud.cli import main; main()"]
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")


@pytest.fixture
def address(tmp_path):
    """A served workbench with four cases and one auditor."""
    write_run(tmp_path / "runs", "2025-06")
    env = {**os.environ, "FRAUD_WORKBENCH_PASSWORD": PASSWORD}
    for arguments in (["publish", "runs/2025-06"], ["workbench", "user", "li.ming", "--role", "auditor"]):
        subprocess.run([*COMMAND, *arguments], cwd=tmp_path, env=env, check=True, capture_output=True)
    server = subprocess.Popen(
        [*COMMAND, "workbench", "--port", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    yield re.search(r"http://\S+", server.stderr.readline())[0]
    server.terminate()
    server.wait(timeout=20)
    server.stderr.close()


@pytest.fixture
def chrome(tmp_path):
    made = Chrome(tmp_path / "profile")
    yield made
    made.close()


def test_from_signing_in_to_a_decision_without_a_mouse(chrome, address):
    chrome.open(f"{address}/cases/?subject_kind=")
    chrome.until("document.activeElement.name == 'name'")
    chrome.type("li.ming")
    chrome.run("document.querySelector('[name=password]').focus()")
    chrome.type(PASSWORD)
    chrome.press("Enter")
    chrome.until("location.pathname == '/cases/'")
    chrome.press("j", "j", "j", "k")
    assert chrome.run("document.querySelector('tr.on code').textContent") == "P1"
    chrome.press("Enter")
    chrome.until("location.pathname == '/cases/2/'")
    chrome.press("u")  # back, with the filter
    chrome.until("location.search == '?subject_kind='")
    chrome.press("/")
    assert chrome.run("document.activeElement.id") == "search"
    chrome.press("Escape", "n")
    chrome.until("location.pathname == '/cases/1/'")
    chrome.press("1")
    assert chrome.run("document.activeElement.name") == "reason"
    chrome.run("document.activeElement.value = 'over_prescription'")
    chrome.run("document.querySelector('details[open] [name=amount]').focus()")
    chrome.type("3200.5")
    chrome.press("Enter")
    chrome.until("document.querySelector('.banner.good')")
    assert "3,200.50 元" in chrome.run("document.querySelector('.money').innerText")
    assert chrome.logged == []  # the content policy stopped nothing, and nothing was missing
