"""Rules over a month of claims."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fraud.rules.records import OPERATORS, Rule


def evaluate(frame: pd.DataFrame, rules: Sequence[Rule]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Apply rules to a claim feature table.

    Parameters
    ----------
    frame : pandas.DataFrame
        Claim features, one row per claim; an unknown (null) value never hits.
    rules : sequence of Rule
        Rules to apply.

    Returns
    -------
    pandas.DataFrame
        Aligned with `frame`: ``rule_hits`` (sorted tuple of codes) and ``impossible`` (bool: a rule
        that states a logical impossibility hit).
    dict of str to str
        Rules that could not be decided from this data: code → why.
    """
    hits = np.zeros((len(frame), len(rules)), dtype=bool)
    skipped = {}
    for column, rule in enumerate(rules):
        if rule.feature not in frame:
            skipped[rule.code] = f"feature {rule.feature} is not available from this data"
            continue
        values = frame[rule.feature].to_numpy(dtype="float64")
        known = ~np.isnan(values)
        hits[known, column] = OPERATORS[rule.operator](values[known], rule.threshold)
    codes = np.array([r.code for r in rules], dtype=object)
    rows = [tuple(sorted(codes[row])) if row.any() else () for row in hits]
    certain = np.array([r.impossible for r in rules], dtype=bool)
    result = pd.DataFrame({"rule_hits": pd.Series(rows, index=frame.index, dtype=object)}, index=frame.index)
    result["impossible"] = hits[:, certain].any(axis=1) if len(rules) else False
    return result, skipped
