"""Monitor: what past runs, audits, back-tests and the model store say of the model, on one page."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.backtest.contest import contest, objections
from fraud.backtest.figures import FEWEST, FEWEST_CONFIRMED
from fraud.backtest.told import figures as tested_figures
from fraud.backtest.told import plain
from fraud.engines import Engine, dataset_tables
from fraud.errors import FraudError
from fraud.monitor import advice, auc, by_month, checks, judged, live, together, verdict
from fraud.monitor.lists import difference
from fraud.pipeline.frames import dataset_name, decisions, labels, months_with_claims, opened
from fraud.pipeline.past_months import (
    PastRun,
    cases_of,
    challenged,
    decisions_until,
    drift_by_month,
    groups_of,
    past_runs,
    places_of,
    refused_of,
    relabelled,
    rules_of,
    scored_of,
)
from fraud.pipeline.promoting import Tested, backtests_in, newest_pair, scores_of
from fraud.pipeline.ruling import audited_hits, rule_set
from fraud.pipeline.training import read_audits
from fraud.report.monitor_page import write_monitor_page
from fraud.runs import RunFolder, StageClock, code_version, input_facts, write_json
from fraud.schema import month_number, month_text
from fraud.settings import Settings

Progress = Any
PAGE, FIGURES = "monitor.html", "monitor.json"


@dataclass(frozen=True)
class Monitored:
    """A published page."""

    month: str
    folder: Path
    figures: Mapping[str, Any]

    @property
    def page(self) -> Path:
        """The page a person opens."""
        return self.folder / PAGE

    @property
    def verdict(self) -> str:
        """One of unknown, good, watch and act."""
        return str(self.figures["verdict"])


def monitor(
    dataset: Path,
    out: Path,
    settings: Settings,
    progress: Progress = None,
    *,
    month: str = "",
    months: int = 12,
    audits: Path | None = None,
    named: str = "",
) -> Monitored:
    """Say whether the model is still good, how one knows, and what one would change.

    Parameters
    ----------
    dataset : Path
        Dataset folder; its audits are the judges.
    out : Path
        Folder of run folders and back-tests; the page goes into ``monitor-MONTH`` in it.
    settings : Settings
        ``monitor`` and ``promotion`` count.
    month : str
        ``YYYY-MM``: everything is looked at as at its end, and nothing decided, run or tested later
        counts. The latest run's month by default.
    months : int
        Months looked back at, this one included.
    audits : Path, optional
        Parquet file of decisions beside the dataset's own, in the contract's columns.
    named : str
        How the user named `audits`, for the commands that are advised.

    Raises
    ------
    DataError
        The dataset holds no claims; `audits` is unusable.
    """
    name, clock = dataset_name(dataset), StageClock(progress)
    more = None if audits is None else read_audits(audits)
    with opened(dataset, settings, out) as (engine, canonical):
        last = month or _latest(engine, out, name)
        with RunFolder(out, f"monitor-{last}") as folder:
            look = _Look(engine, out, name, last, months, settings, more)
            with clock.stage("监测 monitor"):
                figures = look.figures(_typed(dataset), _typed(out), shlex.quote(named) if named else "")
            with clock.stage("报告 report"):
                write_json(plain(figures), folder.part / FIGURES)
                write_monitor_page(figures, folder.part / PAGE)
            folder.write_manifest(_facts(canonical, look, settings), clock.measured())
    return Monitored(last, folder.final, figures)


def _typed(path: Path) -> str:
    """Path as a shell takes it."""
    return shlex.quote(path.as_posix())


def _latest(engine: Engine, out: Path, name: str) -> str:
    """Month of the latest run, else the last month with claims."""
    runs = past_runs(out, name)
    return runs[-1].month if runs else month_text(months_with_claims(engine)[-1])


def _facts(dataset: Path, look: "_Look", settings: Settings) -> dict[str, Any]:
    return {
        "inputs": input_facts(dataset_tables(dataset)),
        "settings": settings.recorded() | {"monitor": settings.monitor.model_dump()},
        "runs": {run.month: run.manifest.get("fingerprint", "") for run in look.runs},
        "code": code_version(),
        "engine": settings.engine.name,
    }


class _Look:
    """Everything as it was known when a month ended."""

    def __init__(
        self,
        engine: Engine,
        out: Path,
        name: str,
        last: str,
        months: int,
        settings: Settings,
        more: pd.DataFrame | None,
    ) -> None:
        self.engine, self.out, self.name, self.last, self.settings = engine, out, name, last, settings
        self.first = month_text(month_number(last) - months + 1)
        self.runs = past_runs(out, name, last, months)
        self.now = self.runs[-1] if self.runs else None
        self.kind = str(self.now.manifest["experiment"]["target"]) if self.now else "claim"
        self.after = month_text(month_number(last) + 1)
        self.more = more
        self.decided = decisions_until(engine, pd.Timestamp(f"{self.after}-01"), more)
        self.known = labels(engine, self.kind, month_number(last), more)
        self.notes: list[dict[str, str]] = []

    def figures(self, dataset: str, out: str, audits: str) -> dict[str, Any]:
        """Everything the page shows; what is not known is NaN."""
        about = {
            "name": self.name,
            "month": self.last,
            "months": [run.month for run in self.runs],
            "until": self.last,
            "after": self.after,
            "kind": self.kind,
            "commands": {"dataset": dataset, "out": out, "audits": f" --audits {audits}" if audits else ""},
            "settings": self._settings(),
        }
        told = about | self._lists() | self._model() | self._shifted() | self._tested()
        found = checks(told, self.settings.monitor)
        told["advice"] = [asdict(a) for a in advice(told, found, self.settings.monitor)]
        told["checks"], told["verdict"] = [asdict(c) for c in found], verdict(found)
        told["notes"] = self.notes
        return told

    def _settings(self) -> dict[str, Any]:
        s = self.settings
        about = {"capacity": s.list.capacity, "learning_share": s.list.learning_share}
        return about | {"random_share": s.workbench.random_share, **s.monitor.model_dump()}

    def _lists(self) -> dict[str, Any]:
        """What the lists brought, together and month by month, and the months' scores against decisions."""
        s = self.settings.monitor
        fair = [run for run in self.runs if not run.in_sample]
        every = judged(cases_of(self.runs), self.decided)
        of_fair = every["month"].isin([run.month for run in fair]) if len(every) else every["month"] == ""
        own = every[of_fair & ~every["learning"].astype(bool)]
        learnt = every[of_fair & every["learning"].astype(bool)]
        months = by_month(own, [run.month for run in fair], self.last, s.maturity_months)
        ripe = [m["month"] for m in months if m["ripe"]]
        late = max(len(ripe) - s.recent_months, -(-len(ripe) // 2))  # some must be left to compare with
        recent, before = (
            {"months": chosen, **together(own[own["month"].isin(chosen)])}
            for chosen in (ripe[late:], ripe[:late])
        )
        same = [run for run in fair if run.manifest["experiment"]["target"] == self.kind]
        scored = scored_of(self.engine, same, every, self.kind, self.known)
        return {
            "lists": months,
            "in_sample": [run.month for run in self.runs if run.in_sample],
            "together": together(own),
            "kinds": [{"kind": k, **together(own[own["subject_kind"] == k])} for k in _kinds(own)],
            "learning": together(learnt),
            "recent": recent,
            "before": before,
            "fall": difference(recent["rate"], before["rate"]),
            "former": self._former(own),
            "live_months": [run.month for run in same],
            "live": live(scored, self._ways()),
            "groups": groups_of(self.runs, every, self.decided),
        }

    def _ways(self) -> tuple[str, ...]:
        return ("model", "amount", "rules") if self.kind == "claim" else ("model", "amount")

    def _former(self, cases: pd.DataFrame) -> dict[str, Any]:
        """Lists of the version in use beside those of the one before it."""
        versions = [run.version for run in self.runs]
        earlier = [v for v in versions if v and v != versions[-1]]
        if not (earlier and versions[-1]):
            return {}
        now, then = (together(cases[cases["version"] == v]) for v in (versions[-1], earlier[-1]))
        gap = difference(now["rate"], then["rate"])
        return {"version_now": versions[-1], "version": earlier[-1], "now": now, "then": then, "gap": gap}

    def _model(self) -> dict[str, Any]:
        """The model of the latest month: its age, what it promised, who made it champion."""
        model = dict(self.now.manifest["model"]) if self.now else {"name": self.name, "version": ""}
        counts = {"months": None, "until": "", "newer": 0, "share": None}
        counts |= {"known": len(self.known), "confirmed": int(self.known["label"].sum())}
        if not model["version"]:
            return {"model": model, "age": counts, "promised": {}, "switch": {}}
        begin = pd.Timestamp(month_text(month_number(model["until"]) + 1) + "-01")
        newer = int((self.known["decided_at"] >= begin).sum())
        age = counts | {
            "months": max(0, month_number(self.last) - month_number(model["until"])),
            "until": model["until"],
            "newer": newer,
            "share": newer / len(self.known) if len(self.known) else None,
        }
        return {"model": model, "age": age, "promised": self._promised(model), "switch": self._switch(model)}

    def _promised(self, model: Mapping[str, str]) -> dict[str, Any]:
        """Held-out figures of its training."""
        from fraud import tracking

        try:
            loaded = tracking.load_model(self.name, model["version"], self.settings)
        except FraudError as error:
            self._note(f"模型库打不开 v{model['version']}", f"model store: {error.problems[0]}")
            return {}
        metrics = loaded["scorers"][self.kind].summary.get("metrics", {}).get("audited", {})
        own = metrics.get("score", {})
        told = {
            key: {"value": own[key], "low": own[f"{key}_low"], "high": own[f"{key}_high"]}
            for key in ("average_precision", "roc_auc")
            if key in own
        }
        return told | {"rows": metrics.get("rows", 0), "positives": metrics.get("positives", 0)}

    def _switch(self, model: Mapping[str, str]) -> dict[str, Any]:
        """How it first became champion."""
        from fraud import tracking

        try:
            lines, _ = tracking.history(self.name, self.settings)
        except FraudError as error:
            self._note("切换记录读不出", f"record of switches: {error.problems[0]}")
            return {}
        own = [line for line in lines if line["after"] == model["version"]]
        return {k: own[0][k] for k in ("kind", "by", "reason", "before")} if own else {}

    def _shifted(self) -> dict[str, Any]:
        """What differed month by month, where, and what rules' hits came to."""
        drift = drift_by_month(self.runs)
        recent = self.settings.monitor.recent_months
        rules = rule_set(self.settings).rules
        names = {code: (rule.name_zh, rule.name_en) for code, rule in rules.items()}
        hits = audited_hits(self.out, self.after, decisions(self.engine, self.more))
        return {
            "drift": drift,
            "places": places_of(drift[-recent:]),
            "refused": refused_of(self.out, self.first, self.last, [run.month for run in self.runs]),
            "rules": rules_of(hits, names),
        }

    def _tested(self) -> dict[str, Any]:
        """Back-tests of the champion and of the challenger, with what is decided by now."""
        champion = self._identity(self.now)
        challenger = challenged(self.now) if self.now and champion else {}
        if challenger:
            challenger |= self._evidence(champion, challenger)
        spans = {"champion": self._span(champion), "version": champion.get("version", "")}
        return {"backtest": self._backtest(champion), "challenger": challenger, "spans": spans}

    def _identity(self, run: PastRun | None) -> dict[str, Any]:
        if run is None or not run.version:
            return {}
        return {**run.manifest["model"], "experiment": run.manifest["experiment"]}

    def _span(self, champion: Mapping[str, Any]) -> list[str]:
        """Months on which the champion can be tested as it is."""
        if not champion or champion["until"] >= self.last:
            return []
        return [month_text(month_number(champion["until"]) + 1), self.last]

    def _backtest(self, champion: Mapping[str, Any]) -> dict[str, Any]:
        """The back-test that speaks for the champion most: reaching furthest, of itself, the longest."""
        weigh = lambda r: (r.manifest["months"][1], r.of(champion), _earlier(r), r.folder.name)  # noqa: E731
        runs = [r for r in backtests_in(self.out, self.last) if champion and r.of(champion)]
        if not runs:
            return {}
        best = max(runs, key=weigh)
        scores = self._scores(best)
        if scores is None:
            return {}
        label = scores["label"].dropna()
        about = {
            "folder": best.folder.name,
            "months": best.manifest["months"],
            "as_it_is": best.of(champion) == 2,
            "decided": len(label),
            "confirmed": int(label.sum()),
        }
        if len(label) < FEWEST or not FEWEST_CONFIRMED <= label.sum() < len(label):
            return about | {"all": {}}
        capacity = int(best.manifest["settings"]["list"]["capacity"])
        told = tested_figures(scores, capacity, self._ways())
        kept = {k: told[k] for k in ("capacity", "ways", "all", "monthly", "calibration", "estimates")}
        return about | kept | {"roc_auc": auc(scores[scores["label"].notna()])}

    def _scores(self, run: Tested) -> pd.DataFrame | None:
        """Scores of a back-test with the decisions known now, no later ones."""
        try:
            scores = scores_of(run)
        except FraudError as error:
            self._note(f"回测 {run.folder.name} 与其清单不符", error.problems[0])
            return None
        amounts = {c: scores[c].astype(float) for c in ("amount", "rule_amount")}
        return relabelled(scores.assign(**amounts), self.known)

    def _evidence(self, champion: Mapping[str, Any], challenger: Mapping[str, Any]) -> dict[str, Any]:
        """Paired evidence for the challenger, and what still lacks for promotion."""
        from fraud import tracking

        none: dict[str, Any] = {"evidence": {}, "objections": []}
        try:
            other = tracking.about(self.name, challenger["version"], self.settings)
        except FraudError as error:
            self._note(f"模型库打不开 v{challenger['version']}", f"model store: {error.problems[0]}")
            return none
        pair = newest_pair(self.out, champion, other, self.last)
        if pair is None:
            return none
        own, new = (self._scores(run) for run in pair)
        if own is None or new is None or not own["label"].notna().any():
            return none
        figures = contest(own, new, self.settings.list.capacity)
        folders = [run.folder.name for run in pair]
        lacks = objections(figures, self.settings.promotion)
        return {"evidence": figures | {"folders": folders}, "objections": lacks}

    def _note(self, zh: str, en: str) -> None:
        self.notes.append({"zh": zh, "en": en})


def _kinds(cases: pd.DataFrame) -> list[str]:
    """Kinds of subject on the lists."""
    return sorted({str(kind) for kind in cases["subject_kind"]})


def _earlier(run: Tested) -> float:
    """Larger for an earlier first month."""
    return -month_number(run.manifest["months"][0])
