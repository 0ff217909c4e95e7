"""Arrow tables of the canonical dataset, written month by month and moved into place at the end."""

import os
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fraud.schema import CATEGORIES, TABLES, VISIT_TYPES
from fraud.synthetic.billing import Bill
from fraud.synthetic.catalogue import load_catalogue
from fraud.synthetic.city import KIND, City
from fraud.synthetic.hashing import mix, pick, uniform
from fraud.synthetic.population import INSURANCE
from fraud.synthetic.providers import KINDS, TITLES
from fraud.synthetic.visits import VISIT_TYPE

TRUTH = {
    "claims": pa.schema(
        [
            ("claim_id", pa.string()),
            ("scheme", pa.string()),
            ("loss_amount", pa.decimal128(16, 2)),
            ("group_id", pa.string()),
        ]
    ),
    "groups": pa.schema(
        [(n, pa.string()) for n in ("group_id", "scheme", "member_kind", "member_id", "role")]
    ),
    "blocks": pa.schema([(n, pa.string()) for n in ("group_id", "block", "choice")]),
    "nuisance": pa.schema([(n, pa.string()) for n in ("claim_id", "kind", "circle_id")]),
}
_COMPLAINT = ("反复发作", "加重", "间断出现", "复诊", "要求续方", "症状未见缓解")
_SPAN = ("3天", "1周", "半月", "1月余", "1年余", "多年")
_PLAN = ("予对症治疗，门诊随访。", "完善检查，调整用药。", "继续目前方案，按期复查。", "嘱休息，不适随诊。")


def ids(prefix: str, numbers: np.ndarray, width: int, missing: np.ndarray | None = None) -> pa.Array:
    """Make identifiers from numbers: a prefix and zero-padded digits; null where `missing`.

    Examples
    --------
    >>> ids("P", np.array([7]), 4).to_pylist()
    ['P0007']
    """
    digits = pc.utf8_lpad(pc.cast(pa.array(np.maximum(numbers, 0).astype(np.int64)), pa.string()), width, "0")
    out = pc.binary_join_element_wise(prefix, digits, "")
    missing = numbers < 0 if missing is None else missing | (numbers < 0)
    return pc.if_else(pa.array(~missing), out, pa.scalar(None, pa.string())) if missing.any() else out


def group_ids(schemes: Sequence[str], groups: np.ndarray) -> list[str | None]:
    """Make identifiers of gangs from their scheme and number; None for a number below 0.

    Examples
    --------
    >>> group_ids(["card_pool", "upcoding"], np.array([3, -1]))
    ['card_pool-003', None]
    """
    return [f"{s}-{g:03d}" if g >= 0 else None for s, g in zip(schemes, groups.tolist(), strict=True)]


def cents(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Integer cents as ``decimal(16, 2)``."""
    words = np.empty((len(values), 2), dtype=np.int64)
    words[:, 0] = values
    words[:, 1] = np.where(values < 0, -1, 0)
    out = pa.Array.from_buffers(pa.decimal128(16, 2), len(values), [None, pa.py_buffer(words.tobytes())])
    if missing is None:
        return out
    return pc.if_else(pa.array(~missing), out, pa.scalar(None, pa.decimal128(16, 2)))


def times(seconds: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Seconds since 1970 as naive timestamps."""
    micro = (seconds * 1_000_000).astype("datetime64[us]")
    return pa.array(micro, mask=missing)


def words(
    dictionary: list[str] | tuple[str, ...] | np.ndarray | pa.Array,
    index: np.ndarray,
    missing: np.ndarray | None = None,
) -> pa.Array:
    """Strings picked from a list; null where the index is negative or `missing`."""
    missing = index < 0 if missing is None else missing | (index < 0)
    chosen = pa.array(np.maximum(index, 0).astype(np.int64), mask=missing)
    texts = dictionary if isinstance(dictionary, pa.Array) else pa.array(list(dictionary), pa.string())
    return texts.take(chosen)


def hexes(values: np.ndarray, prefix: str, missing: np.ndarray | None = None) -> pa.Array:
    """Write the last twelve hexadecimal digits of 64-bit values, after a prefix."""
    table = np.array([f"{i:02x}".encode() for i in range(256)], dtype="S2")
    octets = np.ascontiguousarray(values.astype("<u8")).view(np.uint8).reshape(-1, 8)[:, :6]
    text = np.ascontiguousarray(table[octets]).view("S12").ravel()
    if not len(values):
        return pa.array([], pa.string())
    width = 12
    offsets = np.arange(len(values) + 1, dtype=np.int32) * width
    raw = pa.Array.from_buffers(
        pa.string(), len(values), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(text.tobytes())]
    )
    out = pc.binary_join_element_wise(prefix, raw, "")
    return out if missing is None else pc.if_else(pa.array(~missing), out, pa.scalar(None, pa.string()))


def _maybe(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    return rng.random(n) < share


def visit_keys(serial: np.ndarray) -> np.ndarray:
    """Visit numbers that say nothing about the order of visits (a bijection modulo 2**40)."""
    with np.errstate(over="ignore"):
        return (serial.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15 | 1) + np.uint64(12345)) % np.uint64(
            2**40
        )


@cache
def _texts() -> pa.Array:
    return pa.array(
        [
            f"患者因“{name}”{complaint}{span}就诊。{plan}"
            for name in load_catalogue().dx_name
            for complaint in _COMPLAINT
            for span in _SPAN
            for plan in _PLAN
        ],
        pa.string(),
    )


def _notes(b: Bill) -> pa.Array:
    """Short record texts, for stays and part of the visits."""
    v = b.visits
    per = len(_COMPLAINT) * len(_SPAN) * len(_PLAN)
    has = v.is_stay | (uniform(v.seed, 51) < 0.3)
    has &= (v.visit_type != VISIT_TYPE["pharmacy"]) & (b.refund_of < 0)
    return words(_texts(), v.dx.astype(np.int64) * per + pick(per, v.seed, 52), ~has)


def claims_table(city: City, b: Bill, first_id: int, rng: np.random.Generator) -> pa.Table:
    """Rows of ``claims``; the bill's claims are in the order of settlement."""
    v, n = b.visits, len(b.visits)
    pharmacy = city.providers.kind[v.institution] == KIND["pharmacy"]
    stay = v.is_stay
    columns = [
        ids("S", first_id + np.arange(n), 10),
        hexes(visit_keys(v.serial), "V"),
        ids("P", v.patient, 7),
        ids("H", v.institution, 5),
        ids("K", v.department, 6),
        ids("D", v.doctor, 6, _maybe(rng, n, 0.008)),
        ids("O", v.operator, 6, _maybe(rng, n, 0.012)),
        words(VISIT_TYPES, v.visit_type),
        times(v.start),
        times(v.end),
        times(v.settle),
        words(
            city.catalogue.dx_code,
            v.dx.astype(np.int64),
            _maybe(rng, n, 0.004) | (pharmacy & _maybe(rng, n, 0.25)),
        ),
        cents(b.total),
        cents(b.fund),
        cents(b.eligible),
        pa.array(v.out_of_region),
        ids("", v.invoice, 10, _maybe(rng, n, 0.03)),
        ids("B", v.bed, 4, ~stay | _maybe(rng, n, 0.03)),
        _notes(b),
    ]
    return pa.Table.from_arrays(columns, schema=TABLES["claims"].arrow())


def lines_table(city: City, b: Bill, first_claim: int, first_line: int, rng: np.random.Generator) -> pa.Table:
    """Rows of ``lines``, in the order of claims."""
    c, o, n = city.catalogue, b.orders, len(b.orders)
    v = b.visits
    who = o.visit
    drug = c.category_is(o.item, "drug")
    traced = drug & (uniform(v.institution[who], 61) < 0.8) & (uniform(v.serial[who], o.item, 62) < 0.9)
    fresh = mix(v.serial[who], o.item, o.second, 63)
    traced |= o.trace > 0
    trace = np.where(o.trace > 0, o.trace, fresh)
    supply = np.abs(o.days)
    columns = [
        ids("L", first_line + np.arange(n), 11),
        ids("S", first_claim + who, 10),
        words(c.item_code, o.item),
        words(c.item_name, o.item),
        words(CATEGORIES, c.category[o.item]),
        pa.array(o.quantity.astype(np.float64)),
        pa.array(b.price / 100.0),
        cents(b.amount),
        cents(b.line_eligible),
        times(o.second, _maybe(rng, n, 0.01)),
        ids("D", v.doctor[who], 6, _maybe(rng, n, 0.03)),
        ids("K", v.department[who], 6, _maybe(rng, n, 0.01)),
        pa.array(supply, mask=(supply == 0) | _maybe(rng, n, 0.05)),
        hexes(trace, "T", ~traced),
    ]
    return pa.Table.from_arrays(columns, schema=TABLES["lines"].arrow())


def diagnoses_table(city: City, b: Bill, first_claim: int) -> pa.Table:
    """Rows of ``diagnoses``: the principal one and what else the person has."""
    c, v, n = city.catalogue, b.visits, len(b.visits)
    claim, position, code = [np.arange(n)], [np.ones(n, dtype=np.int64)], [v.dx.astype(np.int64)]
    held = city.people.certificates[v.patient]
    first = np.array([np.flatnonzero(c.dx_certificate == i)[0] for i in range(len(c.certificates))])
    u = uniform(v.serial[:, None], np.arange(held.shape[1])[None, :], 71)
    shown = held & (u < np.where(v.is_stay, 0.7, 0.25)[:, None]) & (first[None, :] != v.dx[:, None])
    row, cert = np.nonzero(shown)
    claim.append(row)
    code.append(first[cert])
    extra = np.flatnonzero((v.comorbid >= 0) & (v.comorbid != v.dx))
    claim.append(extra)
    code.append(v.comorbid[extra].astype(np.int64))
    position += [np.full(len(row), 2), np.full(len(extra), 2)]
    who, what, rank = np.concatenate(claim), np.concatenate(code), np.concatenate(position)
    kinds = np.where(v.is_stay, 1, 2)[who]
    stay = np.flatnonzero(v.is_stay)  # the principal diagnosis is also that of admission
    who, what = np.concatenate([who, stay]), np.concatenate([what, v.dx[stay].astype(np.int64)])
    rank, kinds = (
        np.concatenate([rank, np.ones(len(stay), dtype=np.int64)]),
        np.concatenate([kinds, np.zeros(len(stay), dtype=np.int64)]),
    )
    order = np.lexsort((what, rank, kinds, who))
    who, what, kinds = who[order], what[order], kinds[order]
    fresh = np.ones(len(who), dtype=bool)
    fresh[1:] = (who[1:] != who[:-1]) | (kinds[1:] != kinds[:-1])
    start = np.maximum.accumulate(np.where(fresh, np.arange(len(who)), 0))
    keep = b.refund_of[who] < 0
    columns = [
        ids("S", first_claim + who, 10),
        pa.array(np.arange(len(who)) - start + 1),
        words(c.dx_code, what),
        words(c.dx_name, what),
        words(("admission", "discharge", "outpatient"), kinds),
    ]
    return pa.Table.from_arrays(columns, schema=TABLES["diagnoses"].arrow()).filter(pa.array(keep))


def region(district: np.ndarray) -> pa.Array:
    """Region codes of districts; the region away from the city for -1."""
    return words([f"4401{i + 1:02d}" for i in range(20)] + ["440900"], np.where(district < 0, 20, district))


def patients_table(city: City, rng: np.random.Generator) -> pa.Table:
    """Rows of ``patients``."""
    p, n = city.people, city.people.n
    far = p.death > city.months[-1].first + city.months[-1].days
    names = np.array(city.catalogue.certificates, dtype=object)
    certificates = [names[row].tolist() for row in p.certificates]
    columns = {
        "patient_id": ids("P", np.arange(n), 7),
        "sex": words(("M", "F"), p.female.astype(np.int64), _maybe(rng, n, 0.003)),
        "birth_date": pa.array(p.birth.astype("datetime64[D]"), pa.date32(), mask=_maybe(rng, n, 0.002)),
        "birth_year": pa.array(
            p.birth.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
        ),
        "insurance_type": words(INSURANCE, p.insurance),
        "region": region(p.district),
        "household_id": ids("F", p.household, 7, _maybe(rng, n, 0.04)),
        "employer_id": ids("E", p.employer, 6),
        "phone": hexes(mix(p.phone, 81), "tel_", _maybe(rng, n, 0.06)),
        "address": hexes(mix(p.household, 82), "adr_", _maybe(rng, n, 0.08)),
        "chronic_certificates": pa.array(certificates, pa.list_(pa.string())),
        "death_date": pa.array(p.death.astype("datetime64[D]"), pa.date32(), mask=far | _maybe(rng, n, 0.05)),
    }
    return pa.Table.from_arrays(list(columns.values()), schema=TABLES["patients"].arrow(set(columns)))


def provider_tables(city: City, rng: np.random.Generator) -> dict[str, pa.Table]:
    """Rows of ``institutions``, ``departments``, ``doctors`` and ``items``."""
    q, c = city.providers, city.catalogue
    doctors, depts = len(q.doctor_department), len(q.dept_institution)
    specialty = q.dept_specialty[q.doctor_department]
    columns = {
        "institutions": [
            ids("H", np.arange(q.n), 5),
            words(KINDS, q.kind),
            words(("public", "private"), q.private.astype(np.int64)),
            region(q.district),
            pa.array(q.beds, mask=q.beds == 0),
        ],
        "departments": [
            ids("K", np.arange(depts), 6),
            ids("H", q.dept_institution, 5),
            pa.array(q.dept_name, pa.string()),
            words(c.specialties, q.dept_specialty),
        ],
        "doctors": [
            ids("D", np.arange(doctors), 6),
            ids("H", q.dept_institution[q.doctor_department], 5),
            ids("K", q.doctor_department, 6),
            words(c.specialties, specialty),
            words(TITLES, q.doctor_title, _maybe(rng, doctors, 0.04)),
        ],
        "items": [
            pa.array(c.item_code, pa.string()),
            pa.array(c.item_name, pa.string()),
            words(CATEGORIES, c.category),
            words(c.classes, c.drug_class),
            pa.array(c.days_per_unit, mask=c.days_per_unit == 0),
            cents(c.price_limit, c.price_limit < 0),
            words(("M", "F"), c.sex_limit),
            pa.array(c.min_age, mask=np.isnan(c.min_age)),
            pa.array(c.max_age, mask=np.isnan(c.max_age)),
        ],
    }
    return {name: pa.Table.from_arrays(cols, schema=TABLES[name].arrow()) for name, cols in columns.items()}


class DatasetWriter:
    """Writes the tables of a dataset beside its place and moves it there when complete.

    Parameters
    ----------
    out : Path
        Folder of the dataset; replaced when it exists.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.tmp = out.with_name(out.name + ".part")
        shutil.rmtree(self.tmp, ignore_errors=True)
        (self.tmp / "truth").mkdir(parents=True)
        self._open: dict[str, pq.ParquetWriter] = {}

    def write(self, name: str, table: pa.Table) -> None:
        """Append rows to a table (``truth/...`` for the truth)."""
        if name not in self._open:
            self._open[name] = pq.ParquetWriter(
                self.tmp / f"{name}.parquet",
                table.schema,
                compression="zstd",
                compression_level=3,
                version="2.6",
            )
        self._open[name].write_table(table, row_group_size=262_144)

    def text(self, name: str, content: str) -> None:
        """Write a text file."""
        (self.tmp / name).write_text(content, encoding="utf-8")

    def commit(self) -> None:
        """Close the files and move the folder into place."""
        for writer in self._open.values():
            writer.close()
        old = self.out.with_name(self.out.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if self.out.exists():
            os.replace(self.out, old)
        os.replace(self.tmp, self.out)
        shutil.rmtree(old, ignore_errors=True)

    def abort(self) -> None:
        """Close and remove what was written so far."""
        for writer in self._open.values():
            writer.close()
        shutil.rmtree(self.tmp, ignore_errors=True)
