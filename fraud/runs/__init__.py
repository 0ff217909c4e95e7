"""Run folders: written beside, verified, moved into place whole; manifests that say what made them."""

from fraud.runs.clock import StageClock
from fraud.runs.folder import RunFolder
from fraud.runs.manifest import (
    code_version,
    content_hash,
    file_hash,
    fingerprint,
    history,
    input_facts,
    previous_list,
    read_list,
    read_manifest,
    write_json,
)
from fraud.runs.tables import (
    REASON,
    RUN_TABLES,
    neutral,
    reasons_text,
    to_arrow,
    write_suspicions_csv,
    write_table,
)

__all__ = [
    "REASON",
    "RUN_TABLES",
    "RunFolder",
    "StageClock",
    "code_version",
    "content_hash",
    "file_hash",
    "fingerprint",
    "history",
    "input_facts",
    "neutral",
    "previous_list",
    "read_list",
    "read_manifest",
    "reasons_text",
    "to_arrow",
    "write_json",
    "write_suspicions_csv",
    "write_table",
]
