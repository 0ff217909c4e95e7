"""Three ways of running an audit office on the same city, month by month, at the same capacity.

rules
    Claims that rules hit, by the money rules put at issue.
once
    What `fraud score` lists with a model trained once, on the decisions of the year before the programme.
loop
    The same model, trained again every three months on what was decided since, with a tenth of the places spent on
    claims to learn from and another tenth on groups of odd claims that no label explains.
ranked
    The loop with every place spent on the ranking: what the places for learning cost or bring.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from city import HISTORY, LivingCity

from fraud.detectors.learning import learning_picks
from fraud.detectors.scorer import Scorer
from fraud.engines import open_engine
from fraud.features.build import build
from fraud.features.catalog import CATALOG
from fraud.pipeline.frames import labels, read_frame
from fraud.pipeline.new_schemes import new_schemes
from fraud.pipeline.ruling import audited_hits, promoted, rule_hits, rule_set
from fraud.rules.hits import Hits
from fraud.schema import month_number, month_text
from fraud.settings import Experiment, Settings
from fraud.suspicion import with_rules

AGAIN = 3
"""Months between two trainings of the loop."""
LEARN, NEW = 0.1, 0.1
"""Shares of the capacity that the loop spends on learning and on groups of odd claims."""
WINDOW = 12
BACKGROUND = 40_000
"""Unaudited claims kept for training, drawn evenly: more are not needed (fraud.detectors.self_training)."""
MISSED, WRONG = 0.1, 0.02
"""Guilty claims that an audit clears, innocent ones that it confirms."""
ARMS = ("rules", "once", "loop", "ranked")


@dataclass
class Arm:
    """An audit office: its city, what it knows, and what its list brought month by month.

    Attributes
    ----------
    decided : DataFrame
        subject_kind, subject_id, outcome, reason, scheme, decided_at of its own audits.
    rows : list of dict
        Per month: listed, confirmed, money (yuan recovered), false alarms, per scheme the claims found.
    """

    name: str
    city: LivingCity
    out: Path
    capacity: int
    seed: int
    settings: Settings = field(default_factory=Settings)
    scorer: Scorer | None = None
    decided: pd.DataFrame = field(default_factory=lambda: _decisions([]))
    rows: list[dict] = field(default_factory=list)
    kept: list[pd.DataFrame] = field(default_factory=list)

    def start(self, history: pd.DataFrame, known: pd.DataFrame, scorer: Scorer) -> None:
        """Begin the programme with a year's features, decisions and the model trained on them."""
        self.known, self.scorer = known, scorer
        self.kept = [self._thinned(rows, set(known["subject_id"])) for _, rows in history.groupby("month")]

    def live(self) -> None:
        """One month: the city lives, the office lists, audits and learns, and gangs hear of it."""
        self.city.advance()
        month = month_number(self.city.writer.month)
        frame, hits = self._observed(month)
        if self.name in ("loop", "ranked") and self._due():
            self._train(month)
        chosen, why = self._chosen(frame, hits, month)
        found = self._audit(chosen, why, month)
        self.rows.append(found)
        audited = set(self.decided["subject_id"]) | set(self.known["subject_id"])
        self.kept = [*self.kept, self._thinned(frame, audited)][-WINDOW:]

    def _observed(self, month: int) -> tuple[pd.DataFrame, Hits]:
        work = self.out / "work"
        with open_engine(self.settings.engine, work) as engine:
            engine.open_dataset(self.city.out)
            tables = build(engine, [month])
            frame = read_frame(tables.paths["claim"], [month])
            hits = rule_hits(engine, [month], rule_set(self.settings), frame)
        shutil.rmtree(work)
        run = self.out / "runs" / month_text(month)
        run.mkdir(parents=True)
        columns = ["rule", "claim_id", "month", "amount_at_issue", "line_ids", "snoozed"]
        pq.write_table(pa.Table.from_pandas(hits.table[columns], preserve_index=False), run / "rule_hits.parquet")
        return frame, hits

    def _due(self) -> bool:
        return len(self.rows) > 0 and len(self.rows) % AGAIN == 0

    def _train(self, month: int) -> None:
        """Train on the last year, on decisions known when the month began."""
        frame = pd.concat(self.kept, ignore_index=True)
        self.scorer = fitted(frame, self._labels(month))

    def _labels(self, month: int) -> pd.DataFrame:
        begin = pd.Timestamp(f"{month_text(month)}-01")
        own = self.decided[pd.to_datetime(self.decided["decided_at"]) < begin]
        own = own.assign(label=(own["outcome"] == "confirmed").astype("int8"), random=own["reason"] == "random")
        both = pd.concat([self.known, own[list(self.known.columns)]], ignore_index=True)
        both["decided_at"] = pd.to_datetime(both["decided_at"])
        both = both[both["decided_at"] < begin].sort_values(["subject_id", "decided_at"])
        return both.drop_duplicates("subject_id", keep="last")

    def _thinned(self, frame: pd.DataFrame, audited: set[str]) -> pd.DataFrame:
        """Audited claims and a share of the others, as float32."""
        random = np.random.default_rng(self.seed)
        own = frame["claim_id"].isin(audited).to_numpy()
        take = own | (random.random(len(frame)) < BACKGROUND / WINDOW / max(len(frame), 1))
        some = frame[take]
        numbers = some.select_dtypes("number").columns.difference(["month", "amount_at_risk", "peer_n"])
        return some.astype(dict.fromkeys(numbers, "float32"))

    def _chosen(self, frame: pd.DataFrame, hits: Hits, month: int) -> tuple[list[str], list[str]]:
        """Claims to audit, and why each was chosen."""
        if self.name == "rules":
            money = hits.claims.assign(claim_id=hits.claims.index).reset_index(drop=True)
            money = money[money["rule_hits"].map(len) > 0].astype({"fund_at_issue": float})
            top = money.sort_values(["fund_at_issue", "claim_id"], ascending=[False, True])["claim_id"]
            return top.head(self.capacity).tolist(), ["rules"] * min(self.capacity, len(top))
        scored = self.scorer.score(frame)
        amount = frame["amount_at_risk"].fillna(0).round(2)
        claims = scored.assign(
            claim_id=frame["claim_id"], amount_at_risk=amount, expected_recovery=(scored["score"] * amount).round(2)
        )
        decisions = pd.concat([_as_audits(self.known), self.decided], ignore_index=True)
        audited = audited_hits(self.out / "runs", month_text(month), decisions)
        proven = promoted(rule_set(self.settings), audited, self.settings.rules.proven_precision)
        claims = with_rules(claims, hits.claims, proven)
        by_money = claims.sort_values(["expected_recovery", "claim_id"], ascending=[False, True])
        if self.name in ("once", "ranked"):
            return by_money["claim_id"].head(self.capacity).tolist(), ["ranked"] * self.capacity
        return self._with_learning(frame, scored, by_money["claim_id"], month)

    def _with_learning(
        self, frame: pd.DataFrame, scored: pd.DataFrame, ranked: pd.Series, month: int
    ) -> tuple[list[str], list[str]]:
        learn, new = round(LEARN * self.capacity), round(NEW * self.capacity)
        first = ranked.head(self.capacity - learn - new).tolist()
        known = self._known(month)
        groups = new_schemes(frame, scored, self.settings, first, known)
        odd = _one_after_another([g["claim_ids"] for g in groups], new)
        directions = {n: f.direction for n, f in CATALOG.items()}
        picks = learning_picks(frame, scored, learn, directions, known, without=[*first, *odd])["claim_id"].tolist()
        taken = {*first, *odd, *picks}
        rest = [c for c in ranked.head(2 * self.capacity) if c not in taken][: self.capacity - len(taken)]
        why = ["ranked"] * (len(first) + len(rest)) + ["new"] * len(odd) + ["learning"] * len(picks)
        return [*first, *rest, *odd, *picks], why

    def _known(self, month: int) -> pd.DataFrame:
        """Features of decided claims, with what was decided."""
        told = self._labels(month).set_index("subject_id")
        frame = pd.concat(self.kept, ignore_index=True)
        frame = frame[frame["claim_id"].isin(told.index)]
        own = told.loc[frame["claim_id"], ["label", "scheme"]].reset_index(drop=True)
        return pd.concat([frame.reset_index(drop=True), own], axis=1)

    def _audit(self, chosen: list[str], why: list[str], month: int) -> dict:
        """Decide the chosen claims next month; recover what confirmed guilty ones lost."""
        truth = self.city.truth().drop_duplicates("claim_id").set_index("claim_id").reindex(chosen)
        guilty = truth["scheme"].notna().to_numpy()
        luck = np.random.default_rng([self.seed, month]).random(len(chosen))
        confirmed = np.where(guilty, luck >= MISSED, luck < WRONG)
        loss = truth["loss_amount"].astype(float).fillna(0.0).clip(lower=0).to_numpy()
        begin = pd.Timestamp(f"{month_text(month + 1)}-20")
        told = _decisions(
            [
                (c, "confirmed" if yes else "cleared", w, s if yes and isinstance(s, str) else None, begin)
                for c, yes, w, s in zip(chosen, confirmed, why, truth["scheme"], strict=True)
            ]
        )
        self.decided = pd.concat([self.decided, told], ignore_index=True)
        right = truth[confirmed & guilty]
        history = self.decided[self.decided["outcome"] == "confirmed"]["subject_id"]
        every = self.city.truth().drop_duplicates("claim_id")
        self.city.tell(every[every["claim_id"].isin(history)])
        return {
            "arm": self.name, "month": month_text(month), "audited": len(chosen), "guilty": int(guilty.sum()),
            "money": round(float(loss[confirmed & guilty].sum()), 2),
            "false": int((~guilty).sum()), "found": right["scheme"].value_counts().to_dict(),
            "by_reason": {w: int(g) for w, g in pd.Series(guilty).groupby(np.array(why)).sum().items()},
        }  # fmt: skip


def fitted(frame: pd.DataFrame, known: pd.DataFrame) -> Scorer:
    """Model of claims as `fraud train` fits it."""
    directions = {n: f.direction for n, f in CATALOG.items()}
    return Scorer.fit(frame, known, Experiment(), directions=directions, threads=2)


def first_year(city: LivingCity, work: Path, months: int = 8) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of the last months of the history, and what was decided by its end."""
    last = month_number(city.writer.month or _last_month(city))
    with open_engine(Settings().engine, work) as engine:
        engine.open_dataset(city.out)
        tables = build(engine, list(range(last - months + 1, last + 1)))
        frame = read_frame(tables.paths["claim"])
        known = labels(engine, "claim", last)
    shutil.rmtree(work)
    return frame, known


def _last_month(city: LivingCity) -> str:
    month = city.life.city.months[HISTORY - 1]
    return f"{month.year}-{month.number:02d}"


def _one_after_another(groups: list[list[str]], most: int) -> list[str]:
    """The dearest claim of each group, then the second of each, and so on."""
    longest = max(map(len, groups), default=0)
    return list(dict.fromkeys(g[i] for i in range(longest) for g in groups if i < len(g)))[:most]


def _decisions(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["subject_id", "outcome", "reason", "scheme", "decided_at"])
    return frame.assign(subject_kind="claim", decided_at=pd.to_datetime(frame["decided_at"]))


def _as_audits(known: pd.DataFrame) -> pd.DataFrame:
    outcome = np.where(known["label"] == 1, "confirmed", "cleared")
    return known.assign(subject_kind="claim", outcome=outcome, reason="history")
