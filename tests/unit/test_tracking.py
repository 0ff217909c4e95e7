"""MLflow: models kept, registered and found by alias; silent and offline."""

import json
import socket
import subprocess
import sys

import pandas as pd
import pytest

from fraud import tracking
from fraud.detectors.scorer import Scorer
from fraud.errors import NotTrainedError
from fraud.settings import BoostingSettings, Experiment, ForestSettings, Settings, TrackingSettings
from tests.unit.detector_frames import audits, claims

EXPERIMENT = Experiment(boosting=BoostingSettings(trees=20, bags=2), forest=ForestSettings(trees=20), folds=3)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with three versions: the first, one not promoted, one promoted."""
    frame, bad = claims(rows=1500)
    scorer = Scorer.fit(frame, audits(frame, bad), EXPERIMENT, directions={})
    settings = Settings(tracking=TrackingSettings(models=str(tmp_path_factory.mktemp("models"))))
    assert not tracking.registered("city", settings)
    runs = [
        tracking.log_training(
            {"claim": scorer}, name="city", until=until, experiment=EXPERIMENT, settings=settings,
            skipped={"claim_x": "lines is absent"}, promote=promote,
        )
        for until, promote in (("2026-01", False), ("2026-02", False), ("2026-03", True))
    ]  # fmt: skip
    return frame, scorer, settings, runs


def test_champion_scores_as_the_trained_model_does(store):
    frame, scorer, settings, runs = store
    model = tracking.load_model("city", "champion", settings)
    assert [v for _, v in runs] == ["1", "2", "3"]
    assert (model["name"], model["version"], model["until"]) == ("city", "3", "2026-03")
    assert model["experiment"] == EXPERIMENT
    pd.testing.assert_frame_equal(model["scorers"]["claim"].score(frame), scorer.score(frame))


@pytest.mark.parametrize(("alias", "version"), [("previous", "1"), ("challenger", "2"), ("2", "2")])
def test_aliases_and_versions(store, alias, version):
    assert tracking.load_model("city", alias, store[2])["version"] == version


def test_unknown_models_say_what_there_is(store, tmp_path):
    settings = store[2]
    with pytest.raises(NotTrainedError, match="versions 1, 2, 3"):
        tracking.load_model("city", "9", settings)
    with pytest.raises(NotTrainedError, match="none is registered"):
        tracking.load_model("town", "champion", settings)
    empty = Settings(tracking=TrackingSettings(models=str(tmp_path / "none")))
    with pytest.raises(NotTrainedError, match="fraud train"):
        tracking.load_model("city", "champion", empty)
    assert not (tmp_path / "none").exists()
    assert tracking.registered("city", settings)


def _artifacts(settings, run_id):
    from pathlib import Path

    return Path(settings.tracking.models) / "artifacts" / run_id / "artifacts"


def test_run_holds_card_catalog_curves_and_shapley_summary(store):
    _, scorer, settings, runs = store
    folder = _artifacts(settings, runs[0][0])
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {
        "model_card.md", "feature_catalog.json", "claim/shap_summary.json", "claim/curves.json",
        "claim/precision_recall.png", "claim/reliability.png", "claim/log_loss.png",
        "model/claim/model.json", "model/claim/forest.txt", "model/claim/boosting.txt", "model/about.json",
    } <= names  # fmt: skip
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    for words in ("选择偏差", "Selection bias", "Limits", "claim_gap", "lines is absent"):
        assert words in card
    summary = json.loads((folder / "claim/shap_summary.json").read_text(encoding="utf-8"))
    assert set(summary) == set(scorer.contributions(claims(rows=50)[0]).columns)


def test_parameters_and_metrics_are_logged(store):
    from mlflow import MlflowClient

    settings, runs = store[2], store[3]
    client = MlflowClient(f"sqlite:///{settings.tracking.models}/mlflow.db")
    run = client.get_run(runs[0][0])
    assert run.data.params["experiment.boosting.trees"] == "20"
    assert run.data.params["until"] == "2026-01"
    assert run.data.metrics["claim.metrics.audited.score.average_precision"] > 0.3
    assert len(client.get_metric_history(runs[0][0], "claim.held_out_log_loss")) == 20


def test_scoring_is_logged(store, tmp_path):
    from mlflow import MlflowClient

    settings = store[2]
    run_folder = tmp_path / "2026-04"
    run_folder.mkdir()
    text = '{"inputs": {"claims": "abc"}, "totals": {"listed": 12}}'
    (run_folder / "manifest.json").write_text(text, encoding="utf-8")
    table = pd.DataFrame({"score": [0.5, 0.1], "amount_at_risk": [10.0, 5.0]})
    table.to_parquet(run_folder / "suspicions.parquet")
    run_id = tracking.log_scoring(run_folder, "city", "3", settings)
    run = MlflowClient(f"sqlite:///{settings.tracking.models}/mlflow.db").get_run(run_id)
    assert run.data.params["inputs.claims"] == "abc"
    assert run.data.params["month"] == "2026-04"
    assert run.data.metrics["listed"] == 12
    assert run.data.metrics["suspicions.amount_at_risk.sum"] == 15
    assert run.info.status == "FINISHED"
    assert (_artifacts(settings, run_id) / "manifest.json").exists()


def test_changed_files_are_refused(store):
    _, _, settings, runs = store
    path = _artifacts(settings, runs[1][0]) / "model/claim/model.json"
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"slope"', b'"slopE"'))
    try:
        with pytest.raises(NotTrainedError, match="content"):
            tracking.load_model("city", "2", settings)
    finally:
        path.write_bytes(before)


def test_no_network_and_no_chatter(store, monkeypatch, capfd):
    frame, scorer, settings, _ = store

    def refuse(*args, **kwargs):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    tracking.log_training(
        {"claim": scorer}, name="quiet", until="2026-01", experiment=EXPERIMENT, settings=settings
    )
    tracking.load_model("quiet", "champion", settings)
    out = capfd.readouterr()
    assert out.out == ""
    assert out.err == ""


def test_first_use_of_a_store_says_nothing(tmp_path):
    code = (
        "from fraud import tracking; from fraud.settings import *;"
        f"s = Settings(tracking=TrackingSettings(models={str(tmp_path / 'm')!r}));"
        "from pathlib import Path;"
        f"tracking.log_scoring(Path({str(tmp_path / '2026-01')!r}), 'a', '1', s)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == ""


def test_importing_tracking_loads_no_mlflow():
    code = "import sys, fraud.tracking; assert not {'mlflow', 'matplotlib', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
