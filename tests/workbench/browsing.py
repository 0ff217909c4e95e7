"""One Chromium for all tests, served workbenches, and what a person does in them."""

import base64
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import openpyxl
import pytest
from chrome import PROGRAM, Another, Chrome
from fixtures import PASSWORD

COMMAND = [sys.executable, "-c", "from fraud.cli import main; main()"]
IMAGES = Path(__file__).parents[2] / "docs" / "images"
WANTED = bool(os.environ.get("UPDATE_IMAGES"))


@pytest.fixture(scope="session")
def one_chrome(tmp_path_factory):
    """The browser that all tests share."""
    made = Chrome(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture
def chrome(one_chrome):
    """The shared browser, signed in nowhere, with nothing logged."""
    if PROGRAM is None:
        pytest.skip("Chromium is not installed")
    one_chrome._call("Network.clearBrowserCookies")
    screen = {"width": 1366, "height": 768, "deviceScaleFactor": 1, "mobile": False}
    one_chrome._call("Emulation.setDeviceMetricsOverride", **screen)
    one_chrome.open("about:blank")
    one_chrome.until("location.href == 'about:blank'")
    one_chrome.logged.clear()
    return one_chrome


@pytest.fixture
def another(chrome):
    """A second person's page, with cookies of its own."""
    made = Another(chrome)
    yield made
    made.close()


class Site:
    """A served workbench in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.process, self.address = home, None, ""
        self._env = {**os.environ, "FRAUD_WORKBENCH_PASSWORD": PASSWORD}
        self._env.pop("FRAUD_WORKBENCH_SECRET", None)

    def fraud(self, *arguments: str) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=self.home, env=self._env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, code: str, *arguments: str) -> None:
        """Run code on the workbench's database, in a process of its own."""
        begin = (
            "import sys; from fraud.settings import WorkbenchSettings as S;"
            "from fraud.workbench.configure import set_up; set_up(S())\n"
        )
        subprocess.run(
            [sys.executable, "-c", begin + code, *arguments], cwd=self.home, env=self._env, check=True
        )

    def people(self, **roles: str) -> None:
        """Accounts, all in one process, which is quicker than a command each."""
        code = (
            "from fraud.workbench.accounts import save_account;"
            "[save_account(*one.split(':'), sys.argv[1], 'test') for one in sys.argv[2:]]"
        )
        self.run(code, PASSWORD, *(f"{name}:{role}" for name, role in roles.items()))

    def serve(self) -> str:
        self.process = subprocess.Popen(
            [*COMMAND, "workbench", "--port", "0"], cwd=self.home, stderr=subprocess.PIPE, text=True
        )
        self.address = re.search(r"http://\S+", self.process.stderr.readline())[0]
        return self.address

    def close(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process.stderr.close()


@pytest.fixture
def site(tmp_path):
    """A workbench to publish to and serve."""
    made = Site(tmp_path)
    yield made
    made.close()


def sign_in(chrome: Chrome, address: str, name: str) -> None:
    """Sign in as somebody, whoever was signed in before."""
    chrome._call("Network.clearBrowserCookies")
    chrome.open(f"{address}/sign-in/?next=/cases/")
    chrome.until("location.pathname == '/sign-in/' && document.querySelector('[name=name]')")
    chrome.run("document.querySelector('[name=name]').focus()")
    chrome.type(name)
    chrome.run("document.querySelector('[name=password]').focus()")
    chrome.type(PASSWORD)
    chrome.press("Enter")
    chrome.until("location.pathname == '/cases/'")


def visit(chrome: Chrome, address: str, shown: str) -> None:
    """Open a page and wait until something is on it."""
    chrome.run("document.documentElement.dataset.old = 'yes'")
    chrome.open(address)
    chrome.until(f"!document.documentElement.dataset.old && document.querySelector({json.dumps(shown)})")


def step(chrome: Chrome, code: str, **entered: str) -> str:
    """Take a step of the case that is open; the state afterwards."""
    chrome.run("document.documentElement.dataset.old = 'yes'")
    form = f"document.querySelector('input[name=action][value={code}]').form"
    assert chrome.run(f"Boolean({form})"), code
    chrome.run(f"{form}.closest('details').open = true")
    for name, value in entered.items():
        chrome.run(f"{form}.elements[{json.dumps(name)}].value = {json.dumps(value)}")
    chrome.run(f"{form}.requestSubmit()")
    chrome.until("!document.documentElement.dataset.old && document.querySelector('.banner')")
    assert chrome.run("document.querySelector('.banner.bad')?.innerText") is None
    return chrome.run("document.querySelector('h2 .state').innerText")


def choose_file(chrome: Chrome, shown: str, path: Path) -> None:
    """Choose a file in an input, as a person does in the dialogue."""
    expression = f"document.querySelector({json.dumps(shown)})"
    found = chrome._call("Runtime.evaluate", expression=expression)["result"]["objectId"]
    chrome._call("DOM.setFileInputFiles", objectId=found, files=[str(path)])


def downloaded(chrome: Chrome, folder: Path, press: str) -> Path:
    """Press something that downloads a file, and wait for it."""
    chrome._call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    chrome.run(press)
    end = time.monotonic() + 20
    while not (found := [p for p in folder.glob("*") if not p.name.endswith(".crdownload")]):
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.05)
    return found[0]


def answered(path: Path, out: Path, *rows: dict) -> Path:
    """The first rows of an exported form, filled in and saved as another program saves it."""
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    columns = {cell.value: cell.column for cell in sheet[3]}
    for number, answers in enumerate(rows, 4):
        for heading, value in answers.items():
            column = next(c for h, c in columns.items() if h and h.endswith(heading))
            sheet.cell(number, column, value)
    book.save(out)
    return out


def scroll_to(chrome: Chrome, shown: str) -> None:
    """Bring something to the top, below the head of the page."""
    place = f"document.querySelector({json.dumps(shown)}).getBoundingClientRect().top"
    chrome.run(f"scrollBy({{top: {place} - 70, behavior: 'instant'}})")


def picture(chrome: Chrome, name: str) -> None:
    """Save what is seen to the documentation, where ``UPDATE_IMAGES`` is set."""
    if not WANTED:
        return
    chrome.run("document.activeElement.blur()")
    shown = chrome._call("Page.captureScreenshot", format="png", captureBeyondViewport=False)
    (IMAGES / f"{name}.png").write_bytes(base64.b64decode(shown["data"]))
