"""The methods of the benchmark by name: each takes a city's dataset and months and hands over its alarms.

`ours` is `fraud.rings.find`; ``ours:key=value,key=value`` is the same with other settings of section ``[rings]``
(a ranker that never saw a scheme, say). Textbook methods take what development chose (``textbook.json``).
"""

import hashlib
import json
import re
import tempfile
from pathlib import Path

import pandas as pd
from measures import Alarm
from textbook import TEXTBOOK, Choice, CoVisits

HERE = Path(__file__).parent
CHOICES = HERE / "textbook.json"
_SOURCES = ("rings", "features", "settings.py", "schema.py", "engines.py")


def run_method(name: str, city: Path, first: int, last: int) -> tuple[list[Alarm], dict[str, float]]:
    """Alarms of a method, best first, and the seconds of its stages (empty if it does not say)."""
    if name.split(":")[0] == "ours":
        return _ours(name, city, first, last)
    return textbook_alarms(name, city, first, last, chosen_for(name)), {}


def textbook_alarms(name: str, city: Path, first: int, last: int, choice: Choice) -> list[Alarm]:
    found = TEXTBOOK[name](CoVisits.read(city, first, last, choice.minutes)).alarms(choice.level)
    return [a for a in found if choice.keeps(a)]


def chosen_for(name: str) -> Choice:
    if not CHOICES.exists():
        raise SystemExit(f"{CHOICES.name} is missing: python experiments/rings/choose.py writes it.")
    return Choice(**json.loads(CHOICES.read_text(encoding="utf-8"))["choices"][name])


def known(name: str) -> str:
    """Check the name of a method (for argparse)."""
    if name in TEXTBOOK or re.fullmatch(r"ours(:\w+=[^,=]+(,\w+=[^,=]+)*)?", name):
        return name
    raise ValueError(name)


def ours_settings(name: str) -> object:
    """`RingSettings` of ``ours`` or ``ours:key=value,…``."""
    from fraud.settings import RingSettings

    _, _, options = name.partition(":")
    return RingSettings(**dict(o.split("=", 1) for o in options.split(",") if o))


def _ours(name: str, city: Path, first: int, last: int) -> tuple[list[Alarm], dict[str, float]]:
    from fraud.pipeline.frames import opened
    from fraud.rings import find
    from fraud.settings import Settings

    with tempfile.TemporaryDirectory() as work, opened(city, Settings(), Path(work)) as (engine, _):
        found = find(engine, first, last, settings=ours_settings(name))
    return alarms_of_rings(found.rings, found.members, found.claims), dict(found.timings)


def alarms_of_rings(rings: pd.DataFrame, members: pd.DataFrame, claims: pd.DataFrame) -> list[Alarm]:
    """Alarms from the frames of `fraud.rings.Rings`, in their order: every ring it reports is an alarm.

    A ring's people are its patients; of a ``doctor_ring``, its doctors.
    """
    people = {
        kind: rows.groupby("ring_id")["member_id"].agg(frozenset).to_dict()
        for kind, rows in members.groupby("member_kind")
    }
    evidence = claims.groupby("ring_id")["claim_id"].agg(frozenset).to_dict() if len(claims) else {}
    out = []
    for r in rings.itertuples():
        kind = "doctor" if r.kind == "doctor_ring" else "patient"
        named = people.get(kind, {}).get(r.ring_id, frozenset())
        out.append(
            Alarm(named, float(r.score), r.kind, float(r.q_value), evidence.get(r.ring_id, frozenset()))
        )
    return out


def peak_mib() -> float:
    """Most memory this process has held (MiB)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def version(name: str) -> str:
    """Fingerprint of what a method's result depends on, other than the city."""
    here = [HERE / n for n in ("truth.py", "measures.py", "methods.py", "textbook.py")]
    if name in TEXTBOOK:
        return _digest([*here, CHOICES])
    import fraud

    package = Path(fraud.__file__).parent
    files = [
        p for s in _SOURCES for p in ((package / s).rglob("*") if (package / s).is_dir() else [package / s])
    ]
    return _digest([*here, *(p for p in files if p.is_file() and "__pycache__" not in p.parts)])


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
