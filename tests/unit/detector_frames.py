"""Numeric feature tables with actors and a planted scheme, made without the feature builders."""

import numpy as np
import pandas as pd

FEATURES = ("claim_amount", "claim_gap", "claim_share", "patient_visits", "doctor_load", "claim_noise")


def claims(seed=5, rows=3000, months=6, bad_doctors=3, doctors=40):
    """A claim table of which the claims of a few doctors are mostly bad; the truth is in `bad`."""
    random = np.random.default_rng(seed)
    doctor = random.integers(0, doctors, rows)
    patient = random.integers(0, rows // 6, rows)
    bad = (doctor < bad_doctors) & (random.random(rows) < 0.8) | (random.random(rows) < 0.01)
    x = random.gamma(2.0, 1.0, (rows, len(FEATURES)))
    x[:, 0] += 2.0 * bad * random.random(rows)
    x[:, 1] += 1.5 * bad
    x[:, 2] += 1.0 * bad * random.random(rows)
    x[random.random(rows) < 0.1, 2] = np.nan
    month = 24300 + random.integers(0, months, rows)
    frame = pd.DataFrame(x, columns=list(FEATURES))
    frame.insert(0, "claim_id", [f"c{i:06d}" for i in range(rows)])
    frame.insert(1, "month", month.astype("int64"))
    frame["patient_id"] = [f"p{i}" for i in patient]
    frame["doctor_id"] = [f"d{i}" for i in doctor]
    frame["department_id"] = [f"k{i % 8}" for i in doctor]
    frame["institution_id"] = [f"h{i % 4}" for i in doctor]
    frame["visit_type"] = np.where(doctor % 2 == 0, "outpatient", "inpatient")
    frame["amount_at_risk"] = np.round(random.gamma(2.0, 500.0, rows), 2)
    frame["peer_group"] = frame["visit_type"] + "/" + frame["institution_id"]
    frame["peer_n"] = frame.groupby("peer_group")["claim_id"].transform("size").astype("int64")
    return frame, bad.astype(int)


def audits(frame, bad, share=0.3, random_share=0.3, seed=1, noise=0.05):
    """Audits of a share of the claims, drawn towards the bad ones but for a random quota."""
    random = np.random.default_rng(seed)
    drawn = random.random(len(frame)) < share * random_share
    ranked = ~drawn & (random.random(len(frame)) < share * np.where(bad == 1, 1.5, 0.5))
    rows = np.flatnonzero(drawn | ranked)
    label = np.where(random.random(len(rows)) < noise, 1 - bad[rows], bad[rows])
    months = frame["month"].to_numpy()[rows] + 1
    return pd.DataFrame(
        {
            "subject_id": frame["claim_id"].to_numpy()[rows],
            "label": label,
            "random": drawn[rows],
            "scheme": np.where(label == 1, "over_examination", ""),
            "decided_at": pd.to_datetime(
                {"year": months // 12, "month": months % 12 + 1, "day": np.full(len(rows), 3)}
            ),
        }
    )
