"""The notebooks run from top to bottom on the committed sample, leave nothing behind and hold no output."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 900  # a busy machine; alone, each cell takes seconds
RUN = """
import sys
import nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
place = {"metadata": {"path": sys.argv[2]}}
NotebookClient(book, timeout=int(sys.argv[3]), kernel_name="python3", resources=place).execute()
"""


def files(folder):
    return {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def checkout(tmp_path):
    """What a notebook may look at: its folder, the sample and the experiments."""
    root = tmp_path / "checkout"
    for part in ("notebooks", "data/synthetic/sample", "experiments"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return root


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_and_leaves_nothing_behind(notebook, checkout, tmp_path):
    before = files(checkout)
    # a process of its own: Jupyter's warnings are not ours, and its event loop stays out of pytest
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter"),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
    }
    command = [sys.executable, "-c", RUN, str(checkout / "notebooks" / notebook.name)]
    done = subprocess.run(
        [*command, str(checkout / "notebooks"), str(SECONDS)],
        env=os.environ | quiet,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert files(checkout) == before


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 4


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_committed_without_outputs(notebook):
    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [c.id for c in code if c.outputs or c.execution_count is not None] == []
    assert [c.id for c in book.cells if c.metadata] == []
    assert [c.id for c in book.cells] == [f"cell-{i:02d}" for i in range(1, len(book.cells) + 1)]
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert dict(book.metadata.language_info) == {"name": "python"}  # no version of somebody's machine


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_speaks_both_languages_and_names_no_place(notebook):
    book = nbformat.read(notebook, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "markdown" and len(cell.source) > 80:
            assert any("一" <= c <= "鿿" for c in cell.source), cell.source[:60]
        for start in ('"/', "'/", "C:\\", "~/"):
            assert start not in cell.source, f"{cell.id}: an absolute path"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_links_of_notebook_lead_somewhere(notebook):
    import re

    book = nbformat.read(notebook, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", cell.source):
                assert (notebook.parent / target).exists(), f"{cell.id}: {target}"
