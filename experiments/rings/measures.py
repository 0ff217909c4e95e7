"""How good a list of alarms is, given the truth: counts of one city, and figures pooled over cities.

All figures are at the method's own threshold: every alarm it hands over counts. Patients the truth ignores are
taken out of the alarms first, and an alarm that holds nobody else counts for nothing.

A member is *right* when in any true ring; *matched* (stricter) when in the very ring that the alarm overlaps most.
A true ring is found when an alarm has a Jaccard index of at least 0.5 with it. An alarm is *false* when fewer than
half of its members are in true rings; the innocent crowd it is, is the most frequent kind of look-alike among its
evidence claims (``ordinary`` for claims of no look-alike).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from truth import TrueRing, Truth

Q_LEVELS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Alarm:
    """A ring that a method reports, best first in its list.

    Attributes
    ----------
    members : frozenset of str
        Patients; doctors where `kind` is ``doctor_ring``.
    score : float
        Greater is more suspicious.
    q_value : float
        NaN where the method states none.
    claims : frozenset of str
        Evidence claims.
    """

    members: frozenset[str]
    score: float
    kind: str = "patient_ring"
    q_value: float = float("nan")
    claims: frozenset[str] = field(default_factory=frozenset)

    @property
    def of_doctors(self) -> bool:
        return self.kind == "doctor_ring"


def city_counts(truth: Truth, alarms: Sequence[Alarm]) -> dict:
    """Counts of one city, to be pooled: numbers, and dicts of numbers by scheme, crowd or q level."""
    patients = [a for a in (_heard(a, truth) for a in alarms if not a.of_doctors) if a.members]
    doctors = [a for a in alarms if a.of_doctors]
    rings = truth.of_kind(doctors=False)
    counts = {"cities": 1, "people": truth.people}
    counts |= _member_counts(rings, patients) | _ring_counts(rings, patients) | _by_scheme(rings, patients)
    counts["budget_right"] = right_within_budget(rings, patients)
    doctor_rings = truth.of_kind(doctors=True)
    counts |= {f"doctor_{k}": v for k, v in _member_counts(doctor_rings, doctors).items()}
    counts |= {f"doctor_{k}": v for k, v in _ring_counts(doctor_rings, doctors).items()}
    judged = [(a, _is_false(rings, a)) for a in patients] + [(a, _is_false(doctor_rings, a)) for a in doctors]
    counts["alarms"], counts["false_alarms"] = len(judged), sum(f for _, f in judged)
    counts["crowds"] = dict(sorted(Counter(crowd(truth, a) for a, f in judged if f).items()))
    for level in Q_LEVELS:
        within = [f for a, f in judged if a.q_value <= level]
        counts[f"q_alarms_{level}"], counts[f"q_false_{level}"] = len(within), sum(within)
    return counts


def _heard(alarm: Alarm, truth: Truth) -> Alarm:
    members = alarm.members - truth.ignored
    return Alarm(members, alarm.score, alarm.kind, alarm.q_value, alarm.claims)


def matched(rings: Iterable[TrueRing], alarm: Alarm) -> TrueRing | None:
    """Ring that an alarm overlaps most (of equals the first); None without overlap."""
    best = max(rings, key=lambda r: len(r.members & alarm.members), default=None)
    return best if best is not None and best.members & alarm.members else None


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / max(1, len(a | b))


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


def _is_false(rings: Sequence[TrueRing], alarm: Alarm) -> bool:
    return 2 * len(alarm.members & _union(r.members for r in rings)) < len(alarm.members)


def _member_counts(rings: Sequence[TrueRing], alarms: Sequence[Alarm]) -> dict:
    """Distinct members named, existing and right; (alarm, member) pairs and (ring, member) pairs matched."""
    named, existing = _union(a.members for a in alarms), _union(r.members for r in rings)
    pairs, reached = 0, set()
    for alarm in alarms:
        ring = matched(rings, alarm)
        if ring is not None:
            pairs += len(alarm.members & ring.members)
            reached |= {(ring.ring_id, m) for m in alarm.members & ring.members}
    return {
        "named": len(named), "existing": len(existing), "right": len(named & existing),
        "named_pairs": sum(len(a.members) for a in alarms), "matched_pairs": pairs,
        "existing_pairs": sum(len(r.members) for r in rings), "reached_pairs": len(reached),
    }  # fmt: skip


def _ring_counts(rings: Sequence[TrueRing], alarms: Sequence[Alarm]) -> dict:
    found = sum(any(jaccard(r.members, a.members) >= 0.5 for a in alarms) for r in rings)
    return {"rings": len(rings), "rings_found": found}


def _by_scheme(rings: Sequence[TrueRing], alarms: Sequence[Alarm]) -> dict:
    """Per scheme: members, those in any alarm, and the members of the alarms matched to its rings."""
    named = _union(a.members for a in alarms)
    out: dict[str, Counter] = {}
    for ring in rings:
        c = out.setdefault(ring.scheme, Counter())
        c["members"] += len(ring.members)
        c["reached"] += len(ring.members & named)
        c["rings"] += 1
        c["found"] += any(jaccard(ring.members, a.members) >= 0.5 for a in alarms)
    for alarm in alarms:
        ring = matched(rings, alarm)
        if ring is not None:
            out[ring.scheme]["alarm_members"] += len(alarm.members)
            out[ring.scheme]["alarm_right"] += len(alarm.members & ring.members)
    return {"schemes": {k: dict(v) for k, v in sorted(out.items())}}


def right_within_budget(rings: Sequence[TrueRing], alarms: Sequence[Alarm]) -> float:
    """True members met by an auditor who looks at as many people as there are true members.

    Alarms are worked through best first; of the one in which the budget ends, the share that it pays for.
    """
    existing = _union(r.members for r in rings)
    left, right, seen = len(existing), 0.0, set()
    for alarm in sorted(alarms, key=lambda a: -a.score):
        new = alarm.members - seen
        if left <= 0:
            break
        share = min(1.0, left / len(new)) if new else 0.0
        right += share * len(new & existing)
        left -= len(new)
        seen |= new
    return right


def crowd(truth: Truth, alarm: Alarm) -> str:
    """Most frequent kind of innocent look-alike among the alarm's evidence claims."""
    kinds = Counter(truth.innocent.get(c, "ordinary") for c in alarm.claims)
    return min(kinds, key=lambda k: (-kinds[k], k)) if kinds else "no claims"


def _ratio(a: float, b: float) -> float | None:
    return a / b if b else None


def _f1(precision: float | None, recall: float | None) -> float | None:
    """F1; 0 where nothing was named, None where there was nothing to find."""
    if recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision and recall else 0.0


def pooled(cities: Sequence[Mapping]) -> dict:
    """Figures over cities, from the sums of their counts (micro average); None where undefined."""
    t: Counter = Counter()
    crowds: Counter = Counter()
    schemes: dict[str, Counter] = {}
    for city in cities:
        t.update({k: v for k, v in city.items() if isinstance(v, int | float)})
        crowds.update(city["crowds"])
        for name, c in city["schemes"].items():
            schemes.setdefault(name, Counter()).update(c)
    out = _figures(t, "") | {"doctor_" + k: v for k, v in _figures(t, "doctor_").items()}
    out["budget_recall"] = _ratio(t["budget_right"], t["existing"])
    out |= {
        "alarms": t["alarms"],
        "false_alarms": t["false_alarms"],
        "false_share": _ratio(t["false_alarms"], t["alarms"]),
    }
    out["alarms_per_100k"] = _ratio(100_000 * t["alarms"], t["people"])
    out["crowds"] = dict(sorted(crowds.items(), key=lambda kv: (-kv[1], kv[0])))
    for level in Q_LEVELS:
        out[f"fdr_at_q_{level}"] = _ratio(t[f"q_false_{level}"], t[f"q_alarms_{level}"])
        out[f"alarms_at_q_{level}"] = t[f"q_alarms_{level}"]
    out["schemes"] = {name: _scheme_figures(schemes[name]) for name in sorted(schemes)}
    for cost in ("seconds", "peak_mib"):
        values = [c[cost] for c in cities if cost in c]
        out[cost] = round(float(np.median(values)), 3) if values else None
    return out


def _figures(t: Counter, of: str) -> dict:
    precision, recall = _ratio(t[of + "right"], t[of + "named"]), _ratio(t[of + "right"], t[of + "existing"])
    strict = _ratio(t[of + "matched_pairs"], t[of + "named_pairs"])
    reached = _ratio(t[of + "reached_pairs"], t[of + "existing_pairs"])
    return {
        "precision": precision, "recall": recall, "f1": _f1(precision, recall),
        "matched_precision": strict, "matched_recall": reached, "matched_f1": _f1(strict, reached),
        "rings": t[of + "rings"], "ring_recall": _ratio(t[of + "rings_found"], t[of + "rings"]),
    }  # fmt: skip


def _scheme_figures(c: Counter) -> dict:
    precision, recall = _ratio(c["alarm_right"], c["alarm_members"]), _ratio(c["reached"], c["members"])
    return {
        "rings": c["rings"], "members": c["members"], "recall": recall, "alarm_precision": precision,
        "f1": _f1(precision, recall), "ring_recall": _ratio(c["found"], c["rings"]),
    }  # fmt: skip
