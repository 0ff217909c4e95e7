"""axe finds nothing serious on any page: labels, contrast, names of links and buttons, order of headings."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from browsing import answered, choose_file, downloaded, sign_in, visit
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
        "/cases/1/claims/1/", "/forms/", "/figures/", "/schemes/", "/schemes/1/", "/model/", "/trail/",
        "/password/", "/accounts/", "/cases/999/",
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


def test_nothing_serious_on_any_page(chrome, site, tmp_path):
    data = write_data(site.home / "data")
    write_run(
        site.home / "runs",
        "2025-07",
        [("patient", "Z1", 900.0), ("doctor", "D7", 500.0), ("ring", "R1", 99.0)],
        learnt=True,
    )
    site.fraud("publish", "runs/2025-07", "--dataset", str(data))
    (site.home / "names.csv").write_text("subject_id,name\nZ1,Li\n", encoding="utf-8")
    site.fraud("workbench", "names", "names.csv")
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
    found |= _sheet_and_names(chrome, site, address, tmp_path)
    assert {page: problems for page, problems in found.items() if problems} == {}


def _sheet_and_names(chrome, site, address, folder) -> dict[str, list[str]]:
    """A sheet with good and bad rows and the page of names; the list, a case and figures in English."""
    sign_in(chrome, address, "head")
    visit(chrome, f"{address}/forms/", "[data-download]")
    press = "document.querySelectorAll('[data-download]')[1].requestSubmit()"
    (folder / "down").mkdir()
    clues = downloaded(chrome, folder / "down", press)
    rows = {"answer": "排除", "reason": "透析班次"}, {"answer": "?"}
    visit(chrome, f"{address}/forms/", "[name=file]")
    choose_file(chrome, "[name=file]", answered(clues, folder / "reply.xlsx", *rows))
    chrome.run("document.querySelector('[name=file]').form.requestSubmit()")
    chrome.until("location.pathname.startsWith('/sheets/') && document.querySelector('.o-bad')")
    found = {"sheet": serious(chrome)}
    visit(chrome, f"{address}/cases/1/", "#evidence")
    chrome.run("document.querySelector('form[action$=\"/names/\"]').requestSubmit()")
    chrome.until("location.pathname.endsWith('/names/') && document.querySelector('td')")
    found["names"] = serious(chrome)
    chrome._call("Network.setCookie", name="language", value="en", url=address)
    for page in ("/cases/", "/cases/1/", "/figures/", "/schemes/1/", "/model/"):
        visit(chrome, f"{address}{page}", "html[lang=en]")
        found[f"English {page}"] = serious(chrome)
    return found


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
