"""axe finds nothing serious on any page: labels, contrast, names of links and buttons, order of headings."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from browsing import sign_in, visit
from chrome import PROGRAM
from fixtures import PASSWORD
from run_folders import write_data, write_run

FOUND = find_spec("axe_core_python")
pytestmark = pytest.mark.skipif(
    PROGRAM is None or FOUND is None, reason="Chromium or axe-core-python is not installed"
)
PAGES = {
    "head": [
        "/cases/", "/cases/?state=cleared&rule=P-DUP-DRUG", "/cases/drill/", "/cases/1/", "/cases/3/",
        "/forms/",
        "/figures/", "/trail/", "/password/", "/accounts/",
    ],
    "admin": ["/accounts/", "/trail/", "/cases/"],
}  # fmt: skip


RUN = """
window.found = null;
axe.run(document, {resultTypes: ["violations"]}).then(
  (result) => { window.found = result.violations; },
  (error) => { window.found = [{impact: "serious", id: String(error), nodes: []}]; });
"""
TOLD = """
JSON.stringify(window.found.map((v) => [v.impact, v.id, v.nodes.slice(0, 4).map((n) => n.html.slice(0, 99))]))
"""


def serious(chrome) -> list[str]:
    """What axe finds that is serious or critical: rule, impact and the first places."""
    chrome.run((Path(FOUND.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    chrome.run(RUN)
    chrome.until("window.found")
    told = json.loads(chrome.run(TOLD))
    return [
        f"{rule} ({impact}): {places}" for impact, rule, places in told if impact in ("serious", "critical")
    ]


def test_nothing_serious_on_any_page(chrome, site):
    data = write_data(site.home / "data")
    write_run(
        site.home / "runs",
        "2025-07",
        [("patient", "Z1", 900.0), ("doctor", "D7", 500.0), ("ring", "R1", 99.0)],
    )
    site.fraud("publish", "runs/2025-07", "--dataset", str(data))
    site.people(head="head", admin="administrator")
    address, found = site.serve(), {}
    chrome.open(f"{address}/sign-in/")
    chrome.until("document.querySelector('[name=name]')")
    found["/sign-in/"] = serious(chrome)
    for name, pages in PAGES.items():
        sign_in_as(chrome, address, name)
        for page in pages:
            visit(chrome, f"{address}{page}", "main")
            chrome.run("for (const d of document.querySelectorAll('details')) d.open = true")
            found[f"{name} {page}"] = serious(chrome)
    assert {page: problems for page, problems in found.items() if problems} == {}


def sign_in_as(chrome, address: str, name: str) -> None:
    if name == "admin":  # who may not see the list is led elsewhere
        chrome._call("Network.clearBrowserCookies")
        visit(chrome, f"{address}/sign-in/", "[name=name]")
        for field, value in (("name", name), ("password", PASSWORD)):
            chrome.run(f"document.querySelector('[name={field}]').value = {json.dumps(value)}")
        chrome.run("document.querySelector('main form').requestSubmit()")
        chrome.until("location.pathname == '/accounts/'")
    else:
        sign_in(chrome, address, name)
