"""The cities of the ring benchmark, made once and kept in a folder.

    python experiments/rings/cities.py [--seeds 1 2 3] [--camouflage 0 0.4 0.8] [--variants designed]

Variants: `designed` (the ring schemes of the domain), `composed` (rings nobody designed among innocent crowds
that are composed just as randomly), `honest` and `honest_crowds` (no fraud; without and with those crowds).
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fraud.synthetic
from fraud.synthetic import generate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data" / "synthetic" / "rings"  # not under version control
RING_SCHEMES = (
    "card_pool", "doctor_patient_ring", "pharmacy_ring", "drug_resale", "ghost_stay", "phantom_invoice",
    "ghost_dialysis", "referral_ring",
)  # fmt: skip
DEVELOPMENT, REPORTED = (1, 2, 3), (501, 502, 503, 504, 505)
START = "2025-01"


@dataclass(frozen=True)
class Variant:
    """What differs between the kinds of cities; `prevalence` gives 3 to 7 rings per designed scheme, 20 to 30 composed."""

    schemes: tuple[str, ...]
    camouflage: tuple[float, ...]
    look_alikes: tuple[str, ...] = ()
    prevalence: float = 1.0


VARIANTS = {
    "designed": Variant(RING_SCHEMES, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
    "composed": Variant(
        ("composed_ring",), (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 1.0), ("composed_circle",), prevalence=2.0
    ),
    "honest": Variant((), (0.0,)),
    "honest_crowds": Variant((), (0.0,), ("composed_circle",)),
}


@dataclass(frozen=True, order=True)
class City:
    """One city: what `generate` is told."""

    variant: str
    camouflage: float
    seed: int
    patients: int = 20_000
    months: int = 12

    @property
    def name(self) -> str:
        return f"{self.variant}-c{self.camouflage:.2f}-s{self.seed}-{self.patients}x{self.months}"


COMPOSED = (
    "schemes/composed_ring.py", "schemes/composed_charges.py", "schemes/ways.py", "nuisance/composed.py",
    "nuisance/circles.py",
)  # fmt: skip


@cache
def generator_version(composed: bool = True) -> str:
    """Fingerprint of the generator's sources, so that no city outlives the generator that made it.

    Cities without composed rings and circles do not depend on how these are made.
    """
    folder = Path(fraud.synthetic.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".csv")):
        name = path.relative_to(folder).as_posix()
        if composed or name not in COMPOSED:
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def version_of(city: City) -> str:
    """Fingerprint of what a city was made with."""
    variant = VARIANTS[city.variant]
    return generator_version("composed_ring" in variant.schemes or bool(variant.look_alikes))


def made(city: City, folder: Path = FOLDER) -> Path:
    """Folder of the city's dataset, generated unless the present generator has already made it."""
    out = folder / "cities" / city.name
    stamp = out.with_suffix(out.suffix + ".version")
    variant, version = VARIANTS[city.variant], version_of(city)
    if out.exists() and stamp.exists() and stamp.read_text() == version:
        return out
    stamp.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    generate(
        out, patients=city.patients, months=city.months, seed=city.seed, camouflage=city.camouflage, start=START,
        schemes=variant.schemes, prevalence=variant.prevalence,
        **({"look_alikes": variant.look_alikes} if variant.look_alikes else {}),
    )  # fmt: skip
    stamp.write_text(version)
    return out


def chosen(
    variants: Sequence[str],
    seeds: Sequence[int],
    camouflage: Sequence[float] | None = None,
    patients: int = 20_000,
    months: int = 12,
) -> list[City]:
    """Cities of some variants and seeds; each variant's own levels of camouflage unless told."""
    return [
        City(name, level, seed, patients, months)
        for name in variants
        for level in (
            VARIANTS[name].camouflage if camouflage is None or not VARIANTS[name].schemes else camouflage
        )
        for seed in seeds
    ]


def add_choice(parser: argparse.ArgumentParser, seeds: Sequence[int], variants: Sequence[str]) -> None:
    """Options that say which cities."""
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--camouflage", type=float, nargs="+", help="default: every step of the variant")
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--variants", nargs="+", choices=sorted(VARIANTS), default=list(variants))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="cities and results are kept here")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_choice(parser, DEVELOPMENT, ["designed"])
    o = parser.parse_args()
    for city in chosen(o.variants, o.seeds, o.camouflage, o.patients, o.months):
        print(made(city, o.folder), file=sys.stderr)


if __name__ == "__main__":
    main()
