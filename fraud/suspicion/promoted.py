"""Claims that rules put on the list by themselves: the larger of two expected recoveries, never their sum."""

from collections.abc import Mapping

import numpy as np
import pandas as pd


def with_rules(claims: pd.DataFrame, hits: pd.DataFrame, promoted: Mapping[str, float]) -> pd.DataFrame:
    """Let rules that may speak for themselves score the claims they hit.

    A claim has two estimates of what an audit recovers: the model's (probability × fund amount) and the
    rules' (share of the best rule's hits that audits confirm × what the rules put at issue). The larger one
    gives the claim's score and amount at risk; adding them would count the same yuan twice.

    Parameters
    ----------
    claims : DataFrame
        ``claims_scored`` of a month.
    hits : DataFrame
        Indexed by claim_id: ``rule_hits`` and ``fund_at_issue`` (currency units).
    promoted : mapping of str to float
        Rules that may, and how probable a hit of theirs is right.
    """
    if not promoted or hits.empty:
        return claims
    sure = hits["rule_hits"].map(lambda codes: max((promoted.get(c, 0.0) for c in codes), default=0.0))
    own = pd.DataFrame({"sure": sure.astype(float), "fund": hits["fund_at_issue"].astype(float)})
    own = own.reindex(claims["claim_id"]).fillna(0.0)
    expected = (own["sure"] * own["fund"]).round(2).to_numpy()
    stronger = expected > claims["expected_recovery"].to_numpy(float)
    return claims.assign(
        score=np.where(stronger, own["sure"], claims["score"]),
        amount_at_risk=np.where(stronger, own["fund"], claims["amount_at_risk"]),
        expected_recovery=np.where(stronger, expected, claims["expected_recovery"]),
    )
