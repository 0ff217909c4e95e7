"""Who may import whom, and who may import what is heavy; imports inside functions count too."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "fraud"

ROOMS = {
    "errors": set(),
    "schema": {"errors"},
    "settings": {"errors"},
    "engines": {"errors", "settings", "schema"},
    "privacy": {"errors", "schema"},
    "ingest": {"errors", "schema", "engines", "privacy", "settings"},
    "features": {"errors", "schema", "engines"},
    "rules": {"errors", "schema", "features", "privacy"},
    "listening": {"errors"},
    "service": {"errors", "schema", "settings", "privacy", "rules", "listening"},
    "detectors": {"errors", "settings", "features", "evaluate"},
    "rings": {"errors", "schema", "settings", "engines", "features"},
    "explain": {"errors", "features", "detectors"},
    "suspicion": {"errors", "schema", "settings"},
    "evaluate": {"errors"},
    "backtest": {"errors", "evaluate"},
    "monitor": {"errors", "schema", "evaluate", "backtest"},
    "drift": {"errors", "schema", "features"},
    "runs": {"errors", "schema", "settings"},
    "report": {"errors", "schema", "settings", "features", "runs"},
    "tracking": {"errors", "settings", "features", "detectors", "evaluate"},
    "synthetic": {"errors", "schema"},
    "workbench": {"errors", "schema", "settings", "privacy", "runs", "report", "listening"},
    "pipeline": None,
    "cli": None,
    "cli_models": None,
    "cli_rules": None,
    "cli_workbench": None,
    "terminal": {"errors", "settings"},
    "reference": None,
}
HEAVY = {
    "lightgbm": {"detectors", "rings"},
    "sklearn": {"detectors"},
    "shap": {"detectors", "explain"},
    "mlflow": {"tracking"},
    "matplotlib": {"tracking", "report"},
    "pyspark": {"engines"},
    "duckdb": {"engines", "ingest"},
    "sqlalchemy": {"ingest"},
    "ibis": {"engines", "schema", "features", "rules", "rings", "drift"},
    "igraph": {"rings"},
    "networkx": {"rings", "report"},
    "plotly": {"report"},
    "django": {"workbench"},
    "fastapi": {"service"},
    "starlette": {"service"},
    "uvicorn": {"service", "workbench"},
}


def _room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: import by full name"
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names}
    return found


FILES = sorted(p for p in ROOT.rglob("*.py") if _room(p) != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_only_what_they_may(path):
    room = _room(path)
    assert room in ROOMS, f"{room} is a new room: place it in the table of this test"
    allowed = ROOMS[room]
    if allowed is None:
        return
    own = [i for i in _imports(path) if i.startswith("fraud.") and not i.startswith("fraud.__")]
    used = {i.split(".")[1] for i in own}
    assert used - allowed - {room} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_stay_in_their_rooms(path):
    used = {i.split(".")[0] for i in _imports(path)}
    assert {lib for lib in used & set(HEAVY) if _room(path) not in HEAVY[lib]} == set()


@pytest.mark.parametrize("module", ["fraud", "fraud.cli"])
def test_import_loads_nothing_heavy(module):
    heavy = sorted({*HEAVY, "pandas", "numpy", "pyarrow"})
    code = f"import sys, {module}; print(*(m for m in {heavy!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_screen_needs_neither_data_frames_nor_engines():
    heavy = ("pandas", "ibis", "duckdb", "sqlglot", "sklearn")
    code = f"import sys, fraud.service.app; print(*(m for m in {heavy!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
