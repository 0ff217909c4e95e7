"""Columns of a dataset that building the whole catalog of features reads."""

from pathlib import Path

import pyarrow.dataset as pads

from fraud.engines import part_files
from fraud.features.catalog import CATALOG
from fraud.schema import TABLES

# read for every dataset, whatever features it has columns for
ALWAYS = {
    "claims": ("claim_id", "visit_id", "patient_id", "institution_id", "visit_type", "settled_at", "started_at",
               "ended_at", "total_amount", "fund_amount"),
    "lines": ("claim_id", "item_code", "category", "quantity", "unit_price", "amount", "days_supply"),
    "diagnoses": ("claim_id",),
}  # fmt: skip


def read_columns(tables: dict[str, Path]) -> dict[str, list[str]]:
    """Table → columns read, of those a dataset has, in its order."""
    needs = {n for feature in CATALOG.values() for n in feature.needs}
    needs |= {f"{table}.{column}" for table, columns in ALWAYS.items() for column in columns}
    out = {}
    for name in TABLES:
        if name in tables:
            have = pads.dataset(part_files(tables[name])).schema.names
            out[name] = [c for c in have if f"{name}.{c}" in needs]
    return {name: columns for name, columns in out.items() if columns}
