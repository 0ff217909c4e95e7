"""Feature tables as matrices, and audits joined onto their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fraud.errors import NotTrainedError, UsageError

# columns of a feature table that are no features
KEYS = frozenset(
    {
        "claim_id", "patient_id", "doctor_id", "department_id", "institution_id", "operator_id",
        "month", "visit_type", "settled_at", "amount_at_risk", "peer_group", "peer_n", "first_stage",
    }
)  # fmt: skip
# larger magnitudes do not fit float32
_LIMIT = np.float32(3e38)


def feature_columns(
    frame: pd.DataFrame,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    known: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Numeric columns a detector may use, in the frame's order.

    Parameters
    ----------
    frame : DataFrame
    include, exclude : sequence of str
        The experiment's choice.
    known : sequence of str, optional
        Columns that are features; by default every numeric column that is no key.

    Raises
    ------
    UsageError
        `include` or `exclude` names a column the frame does not have, or nothing is left.
    """
    candidates = [c for c in frame.columns if (c not in KEYS if known is None else c in set(known))]
    numeric = [str(c) for c in candidates if pd.api.types.is_numeric_dtype(frame[c])]
    unknown = [c for c in (*include, *exclude) if c not in numeric]
    if unknown:
        raise UsageError(
            f"The experiment names {len(unknown)} features the data do not have: "
            f"{', '.join(sorted(unknown))}. "
            "Take them out of `include`/`exclude`, or supply the tables they need."
        )
    chosen = tuple(c for c in numeric if (not include or c in include) and c not in exclude)
    if not chosen:
        raise UsageError("No numeric feature is left to train on; check `include` and `exclude`.")
    return chosen


def own_features(frame: pd.DataFrame) -> tuple[str, ...]:
    """Features of the claims themselves, without those of their people and places."""
    return tuple(f for f in feature_columns(frame) if f.startswith("claim_"))


def matrix_of(frame: pd.DataFrame, features: Sequence[str]) -> np.ndarray:
    """Features as float32, shape (rows, features); NaN where unknown or infinite.

    Raises
    ------
    NotTrainedError
        The frame lacks features the model was trained on; names them and the unexpected ones.
    """
    check_features(frame, features)
    out = np.empty((len(frame), len(features)), dtype=np.float32)
    for j, name in enumerate(features):
        values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        out[:, j] = np.where(np.abs(values) < _LIMIT, values, np.nan)
    return out


def check_features(frame: pd.DataFrame, features: Sequence[str]) -> None:
    """Refuse a frame whose columns are not those the model was trained on."""
    missing = [c for c in features if c not in frame.columns]
    text = [c for c in features if c in frame.columns and not pd.api.types.is_numeric_dtype(frame[c])]
    if not missing and not text:
        return
    known = set(features) | KEYS
    extra = [str(c) for c in frame.columns if c not in known and pd.api.types.is_numeric_dtype(frame[c])]
    problems = []
    if missing:
        problems.append(
            f"The data lack {len(missing)} features the model was trained on: {', '.join(missing)}."
        )
    if text:
        problems.append(f"{len(text)} features are not numbers: {', '.join(text)}.")
    if extra:
        problems.append(f"The data have {len(extra)} features the model does not know: {', '.join(extra)}.")
    problems.append(
        "Train again on data with these columns (`fraud train`), or supply the tables and columns "
        "the features need."
    )
    raise NotTrainedError(problems)


@dataclass(frozen=True)
class Audited:
    """Audited rows of a feature table.

    Attributes
    ----------
    row : ndarray of int, shape (n,)
        Position in the frame, ascending.
    label : ndarray of int, shape (n,)
        1 = confirmed, 0 = cleared.
    random : ndarray of bool, shape (n,)
        Audited because drawn at random.
    missing : int
        Labels whose subject has no row in the frame.
    repeated : int
        Labels superseded by a later decision on the same row.
    """

    row: np.ndarray
    label: np.ndarray
    random: np.ndarray
    missing: int = 0
    repeated: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def positives(self) -> int:
        """Confirmed rows."""
        return int(self.label.sum())

    @property
    def negatives(self) -> int:
        """Cleared rows."""
        return len(self.label) - self.positives


def join_audits(frame: pd.DataFrame, labels: pd.DataFrame, target: str) -> Audited:
    """Put audits on the rows they are about.

    Parameters
    ----------
    frame : DataFrame
        Feature table of the target, with ``<target>_id`` and ``month``.
    labels : DataFrame
        Columns subject_id, label (0/1), and optionally random (bool) and decided_at. Rows without a
        label are skipped.
    target : str
        "claim" (one row per claim) or an entity (its row of the latest month at or before the decision).

    Returns
    -------
    Audited
        The latest decision per row counts; of two at the same time, the confirmed one.
    """
    identifier = f"{target}_id"
    audits = labels[labels["label"].isin([0, 1])] if len(labels) else labels
    if not len(audits):
        nothing = np.zeros(0, dtype=int)
        return Audited(nothing, nothing, nothing.astype(bool))
    rows = pd.DataFrame(
        {
            "subject_id": frame[identifier].astype(str).to_numpy(),
            "month": frame["month"].to_numpy(),
            "row": np.arange(len(frame)),
        }
    )
    decided = _decided(audits)
    left = pd.DataFrame(
        {
            "audit": np.arange(len(audits)),
            "subject_id": audits["subject_id"].astype(str).to_numpy(),
            "label": audits["label"].to_numpy(dtype=int),
            "random": audits["random"].to_numpy(dtype=bool) if "random" in audits else False,
            "decided": decided.to_numpy(),
        }
    )
    both = left.merge(rows[rows["subject_id"].isin(left["subject_id"])], on="subject_id")
    if target != "claim":
        at = both["decided"].dt.year * 12 + both["decided"].dt.month - 1
        both = both[at.isna() | (both["month"] <= at)]
        both = both.sort_values(["audit", "month", "row"]).groupby("audit", sort=True).tail(1)
    missing = len(left) - both["audit"].nunique()
    kept = (
        both.sort_values(["row", "decided", "label"], na_position="first").groupby("row", sort=True).tail(1)
    )
    kept = kept.sort_values("row")
    return Audited(
        kept["row"].to_numpy(dtype=int),
        kept["label"].to_numpy(dtype=int),
        kept["random"].to_numpy(dtype=bool),
        missing=int(missing),
        repeated=int(len(both) - len(kept)),
    )


def _decided(audits: pd.DataFrame) -> pd.Series:
    if "decided_at" not in audits:
        return pd.Series(pd.NaT, index=audits.index, dtype="datetime64[us]")
    return pd.to_datetime(audits["decided_at"]).astype("datetime64[us]")
