"""What the pages tell a person to type can be typed, and every experiment file loads."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from fraud.cli import app
from fraud.settings import load_experiment

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "data" / "synthetic" / "README.md", ROOT / "models" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "experiments").rglob("README.md"))
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.toml"))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SHELL = {"$MONTH": "2026-07", "$BEFORE": "2026-06"}


def fenced(text):
    """Lines of fenced blocks, continuations joined, without prompts."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.strip().removeprefix("$ ").removeprefix(".venv/bin/")


def words(line):
    for name, value in SHELL.items():
        line = line.replace(name, value)
    return shlex.split(line.partition(" || ")[0], comments=True)


def shown_whole():
    for page in PAGES:
        for line in fenced(page.read_text(encoding="utf-8")):
            if line.startswith("fraud "):
                yield pytest.param(words(line)[1:], id=f"{page.stem}: {line[:60]}")


def mentioned():
    """Commands in running text, which may be cut short: `fraud train … --promote`."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
        for said in dict.fromkeys(re.findall(r"`(fraud [^`]+)`", text)):
            yield pytest.param(words(said)[1:], id=f"{page.stem}: {said[:60]}")


@pytest.mark.parametrize("arguments", list(shown_whole()))
def test_shown_command_parses(arguments):
    assert arguments[0] in COMMANDS, f"fraud {arguments[0]} does not exist"
    command = COMMANDS[arguments[0]]
    context = command.make_context(arguments[0], list(arguments[1:]))
    for name, value in context.params.items():
        if name in ("month", "until", "start") and value not in (None, "MONTH"):
            assert re.fullmatch(r"\d{4}-\d{2}", value), value
        if name == "experiment" and value is not None and value.parts[0] == "experiments":
            assert (ROOT / value).exists() or value.stem.isupper(), f"{value} does not exist"


@pytest.mark.parametrize("arguments", list(mentioned()))
def test_mentioned_command_exists(arguments):
    if arguments[0].startswith("--"):
        return
    assert arguments[0] in COMMANDS, f"fraud {arguments[0]} does not exist"
    options = {o for p in COMMANDS[arguments[0]].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    assert [a for a in arguments[1:] if a.startswith("--") and a.split("=")[0] not in options] == []


def test_every_make_target_that_is_mentioned_exists():
    made = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        said = re.findall(r"`make ([a-z]+)`", text)
        said += [words(line)[1] for line in fenced(text) if line.startswith("make ")]
        assert set(said) <= set(made), page.name


def test_every_script_that_is_shown_exists():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for script in re.findall(r"python ((?:experiments|fraud)/[\w/]+\.py)", text):
            assert (ROOT / script).exists(), f"{page.name}: {script}"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: p.stem)
def test_experiment_loads_under_its_own_name(path):
    from fraud.features.catalog import CATALOG

    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert [f for f in (*experiment.include, *experiment.exclude) if f not in CATALOG] == []


def test_the_shown_experiment_loads(tmp_path):
    from fraud.features.catalog import CATALOG

    page = (ROOT / "docs" / "data-scientists.md").read_text(encoding="utf-8")
    experiment, feature = re.findall(r"```toml\n(.*?)```", page, re.S)
    shown = tmp_path / "shown.toml"
    shown.write_text(experiment, encoding="utf-8")
    assert set(load_experiment(shown).exclude) <= set(CATALOG)
    ((name, entry),) = tomllib.loads(feature).items()
    assert CATALOG[name].title_zh == entry["title"][0]
    assert CATALOG[name].group == entry["group"]


def test_every_benchmark_folder_has_a_script_that_says_what_it_does():
    folders = [p for p in (ROOT / "experiments").iterdir() if p.is_dir() and any(p.glob("*.py"))]
    assert folders
    for folder in folders:
        for script in sorted(folder.glob("*.py")):
            assert script.read_text(encoding="utf-8").startswith('"""'), script


def test_the_monthly_page_names_every_check_and_exit_code():
    from fraud import errors
    from fraud.ingest.gate import CHECKS

    page = (ROOT / "docs" / "monthly.md").read_text(encoding="utf-8")
    assert [name for name in CHECKS if f"`{name}`" not in page] == []
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.FraudError)]
    assert [k.exit_code for k in kinds if f"| {k.exit_code} |" not in page] == []


def test_the_monthly_script_is_a_script(tmp_path):
    page = (ROOT / "docs" / "monthly.md").read_text(encoding="utf-8")
    (script,) = [b for b in re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M) if b.startswith("#!")]
    path = tmp_path / "monthly.sh"
    path.write_text(script.replace("fraud ", "echo "), encoding="utf-8")
    done = subprocess.run(["sh", str(path), "2026-01"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == [
        "train data/ours --until 2025-12",
        "score data/ours --month 2026-01",
        "monitor data/ours --month 2026-01",
    ]


def test_decisions_filled_in_excel_become_audits(tmp_path, monkeypatch):
    """The code of docs/report.md reads the workbook that the toolkit writes."""
    import openpyxl
    import pandas as pd
    import pyarrow.parquet as pq

    from fraud.report import ReportContent, write_xlsx
    from fraud.report.xlsx import SHEETS
    from fraud.schema import AUDITS

    reason = {"code": "story", "sentence_zh": "理由", "sentence_en": "reason", "contribution": 0.0}
    listed = pd.DataFrame(
        {
            "rank": [1, 2, 3],
            "suspicion_id": ["S-1", "S-2", "S-3"],
            "month": "2026-01",
            "subject_kind": ["claim", "patient", "claim"],
            "subject_id": ["0007", "P1", "0008"],
            "score": [0.9, 0.8, 0.7],
            "amount_at_risk": [100.0, 50.0, 10.0],
            "expected_recovery": [90.0, 40.0, 7.0],
            "status_vs_last_month": "new",
            "reasons": [[reason]] * 3,
            "evidence_claim_ids": [["0007"], ["0009"], ["0008"]],
            "rationale_hash": "x",
        }
    )
    claims = pd.DataFrame({"claim_id": ["0007", "0008", "0009"], "score": 0.5, "amount_at_risk": 10.0})
    monkeypatch.chdir(tmp_path)
    write_xlsx(ReportContent("2026-01", listed, claims, 1000.0, 200), Path("suspicions.xlsx"))
    book = openpyxl.load_workbook("suspicions.xlsx")
    sheet = book[SHEETS[1]]
    column = {cell.value.split()[-1].split("）")[-1]: cell.column for cell in sheet[1]}
    for row, outcome, money in ((2, "confirmed", 80.5), (3, "cleared", None)):
        sheet.cell(row, column["outcome"], outcome)
        sheet.cell(row, column["recovered_amount"], money)
        sheet.cell(row, column["decided_at"], pd.Timestamp("2026-02-10").to_pydatetime())
    book.save("suspicions.xlsx")

    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    Path("data/ours").mkdir(parents=True)
    for _ in range(2):  # a second time changes nothing
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    table = pq.read_table("data/ours/audits.parquet")
    assert table.schema.equals(AUDITS.arrow())
    rows = table.to_pylist()
    assert [(r["subject_kind"], r["subject_id"], r["outcome"], r["reason"]) for r in rows] == [
        ("claim", "0007", "confirmed", "ranked"),
        ("patient", "P1", "cleared", "ranked"),
    ]
    assert str(rows[0]["recovered_amount"]) == "80.50"
    assert rows[1]["recovered_amount"] is None
    assert rows[0]["decided_at"].date().isoformat() == "2026-02-10"
