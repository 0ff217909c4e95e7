"""Settings as frozen models: ``fraud.toml`` and ``experiments/*.toml``.

Name, default and help of a setting live here only; ``docs/settings.md`` is generated from it and a
test fails when a setting is undocumented.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fraud.errors import UsageError

Target = Literal["claim", "patient", "doctor", "department", "institution"]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_SPARK_NAME = re.compile(r"spark(\.[A-Za-z0-9_\-]+)+")
_OWN_SPARK = {
    "spark.master": "say [engine] master",
    "spark.driver.memory": "say [engine] memory_limit",
    "spark.local.dir": "say [engine] spill",
    "spark.sql.shuffle.partitions": "say [engine.spark] shuffle_partitions",
    "spark.sql.session.timeZone": "answers depend on it",
    "spark.sql.ansi.enabled": "answers depend on it",
    "spark.sql.caseSensitive": "answers depend on it",
    "spark.sql.legacy.timeParserPolicy": "answers depend on it",
}
"""Entries of Spark's that the toolkit sets itself, and what to do instead."""


def _flat(entries: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Entries by their full names: TOML reads ``spark.executor.memory`` without quotes as nested tables."""
    for name, value in entries.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


class SparkSettings(_Section):
    """``[engine.spark]``: what only Spark needs."""

    conf: dict[str, str | int | float | bool] = Field(
        {},
        description='Any entry of Spark\'s own configuration, such as `spark.executor.memory = "8g"`; those that answers depend on, or that other settings decide, are refused.',
    )
    shuffle_partitions: int = Field(
        0,
        ge=0,
        description="Partitions of a shuffle; 0 for one per 16 MB of Parquet in the dataset, at least one per core of the cluster.",
    )
    python: str = Field(
        "",
        description="Python on the machines of the cluster, with this package installed; empty for the path of the one that runs.",
    )
    wait_seconds: int = Field(
        60, ge=1, description="How long to wait for the master to answer, and for a first executor."
    )

    @field_validator("conf", mode="before")
    @classmethod
    def _checked(cls, value: Any) -> Any:
        """Full names; refuses what is no entry of Spark's or not the user's to set."""
        if not isinstance(value, Mapping):
            return value
        entries = dict(_flat(value))
        problems = [f"{n}: no name of a Spark entry" for n in entries if not _SPARK_NAME.fullmatch(n)]
        problems += [f"{n}: not yours to set; {_OWN_SPARK[n]}" for n in entries if n in _OWN_SPARK]
        problems += [
            f"{n}: a text, a number or true/false is wanted"
            for n, v in entries.items()
            if not isinstance(v, str | int | float)
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return entries


class EngineSettings(_Section):
    """``[engine]``: where expressions run."""

    name: Literal["duckdb", "spark"] = Field("duckdb", description="Engine: duckdb (embedded) or spark.")
    memory_limit: str = Field(
        "4GB",
        pattern=r"(?i)^\d+(\.\d+)? *[kmgt]i?b$",
        description="Memory DuckDB may use before it spills to disk; of Spark, the heap of the driver (with a local master that is all of it).",
    )
    threads: int = Field(2, ge=1, description="Threads of DuckDB and of model training.")
    spill: str = Field(
        "",
        description="Folder for spilled data; empty for a temporary folder beside the output (Spark: its own).",
    )
    feature_store: str = Field(
        "",
        description="Folder where claim features of months already built are kept, one folder a dataset; a new month then builds only its own. The results are the same. Empty to build every month anew.",
    )
    master: str = Field(
        "local[2]",
        pattern=r"^(local(\[(\d+|\*)(, *\d+)?\])?|local-cluster\[\d+, *\d+, *\d+\]|spark://\S+|k8s://\S+|yarn)$",
        description="Spark master: local[2], spark://host:7077, yarn, k8s://…; used when the engine is spark.",
    )
    spark: SparkSettings = Field(
        default_factory=SparkSettings, description="What only Spark needs, see [engine.spark]."
    )


class GateSettings(_Section):
    """``[gate]``: when input is too bad to score. Shares are of a table's rows."""

    max_quarantined: Share = Field(0.02, description="Largest share of quarantined rows in any table.")
    max_orphans: Share = Field(
        0.05,
        description="Largest share of claims whose patient or institution is in no master table, where that table is given, and of lines without a claim.",
    )
    max_null_doctor: Share = Field(
        0.60,
        description="Largest share of hospital claims without a usable doctor, where the column is given.",
    )
    max_line_mismatch: Share = Field(
        0.05,
        description="Largest share of claims whose total differs from the sum of their lines by more than one currency unit.",
    )
    max_future: Share = Field(
        0.001,
        description="Largest share of claims dated after the end of the scored month's data or before 1990.",
    )
    max_duplicates: Share = Field(0.02, description="Largest share of rows that repeat a key.")
    as_of: str = Field(
        "",
        pattern=r"^(\d{4}-\d{2}-\d{2})?$",
        description="Last day the data reach to, as YYYY-MM-DD; later dates are in the future. Empty to take it from the data: the month after the last one with a tenth of the usual claims.",
    )
    min_volume_ratio: Share = Field(
        0.5,
        description="The scored month must hold at least this share of the median claim count of the three months before it.",
    )
    max_volume_ratio: float = Field(3.0, gt=1, description="And at most this multiple of it.")


class DriftSettings(_Section):
    """``[drift]``: how far a month may differ from those before it; a stop refuses to score."""

    missing_share: Share = Field(
        0.1,
        description="Below this share of its usual claims an institution's data (or of refunds) are missing.",
    )
    institution_weight: Share = Field(
        0.01,
        description="A missing institution with at least this share of the fund's money is a stop, a smaller one a warning.",
    )
    volume_ratio: float = Field(
        3.0, gt=1, description="An institution's volume may change so many times against the whole month's."
    )
    amount_warn: float = Field(
        2.0, gt=1, description="Warn where an institution's usual amount per claim changes so many times."
    )
    amount_stop: float = Field(
        5.0, gt=1, description="Stop there: yuan and cents, or another kind of amount."
    )
    codes_warn: Share = Field(
        0.1, description="Warn from this share of money on codes never seen, or of usual money on codes gone."
    )
    codes_stop: Share = Field(0.3, description="Stop there: a renumbered code table.")
    repeats_warn: Share = Field(
        0.005,
        description="Warn from this share of claims that are there twice, beyond twice the usual share.",
    )
    repeats_stop: Share = Field(0.02, description="Stop there: a day or a file delivered twice.")
    population_warn: float = Field(
        0.1,
        gt=0,
        description="Warn from this population stability index of insurance, region, visit type, or sex with age.",
    )
    population_stop: float = Field(0.5, gt=0, description="Stop there: these are other people.")
    feature_note: float = Field(
        0.1,
        gt=0,
        description="Note a feature from this population stability index against the model's training window, its last months or the same month a year before, whichever is nearest.",
    )
    feature_warn: float = Field(0.25, gt=0, description="Warn there.")
    feature_stop: float = Field(
        1.0, gt=0, description="Stop there, if the feature has at least `feature_weight`."
    )
    feature_ks: Share = Field(
        0.3, description="Warn from this Kolmogorov-Smirnov distance, whatever the index."
    )
    feature_weight: Share = Field(
        0.02, description="Share of what moves the model that a feature needs to stop a month by itself."
    )
    features_warn: Share = Field(
        0.2, description="Warn where features at warn or stop make up this share of what moves the model."
    )
    features_stop: Share = Field(0.4, description="Stop there: this is not what the model was trained on.")
    score_note: float = Field(0.1, gt=0, description="Note from this stability index of the scores.")
    score_warn: float = Field(0.25, gt=0, description="Warn there.")
    score_stop: float = Field(1.0, gt=0, description="Stop there.")


class ListSettings(_Section):
    """``[list]``: the suspicion list."""

    capacity: int = Field(
        200, ge=1, description="Suspicions the auditors can take in a month; the list is cut there."
    )
    min_score: Share = Field(0.0, description="Suspicions below this score are not listed.")
    evidence_claims: int = Field(50, ge=1, description="Most evidence claims kept per suspicion.")
    reasons: int = Field(6, ge=1, description="Most reasons kept per suspicion.")
    learning_share: Share = Field(
        0.0,
        description="Share of the capacity spent on claims whose audit would teach the model most, marked as such (docs/learning.md); 0 for none.",
    )
    roll_up_claims: int = Field(
        3,
        ge=2,
        description="Claims of one doctor, department, patient or institution needed before they roll up into one suspicion.",
    )


class NoveltySettings(_Section):
    """``[novelty]``: groups of odd claims that no label explains."""

    clusters: int = Field(10, ge=0, description="Groups shown a month at most; 0 looks for none.")
    fewest: int = Field(6, ge=3, description="Fewest claims of a group.")
    share: Share = Field(0.05, description="Share of the month's claims, the oddest, that are looked at.")
    most: int = Field(3000, ge=50, description="Claims looked at, at most.")
    max_probability: Share = Field(
        0.2, description="Claims the supervised model gives more are its own and are left out."
    )


class PromotionSettings(_Section):
    """``[promotion]``: what `fraud promote` asks of a challenger before it becomes champion."""

    months: int = Field(3, ge=1, description="Fewest months that both back-tests scored.")
    decided: int = Field(100, ge=1, description="Fewest decided subjects in these months.")
    confirmed: int = Field(20, ge=1, description="Fewest confirmed ones among them.")
    lead: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="The lower bound of the challenger's lead in average precision (95 %, paired) must be above this; a little below 0 lets a merely refreshed model through.",
    )
    money_margin: Share = Field(
        0.05,
        description="The lower bound of its lead in confirmed money at capacity, as a share of all confirmed money, must not be further below 0 than this.",
    )
    random_decided: int = Field(
        30, ge=1, description="Fewest random audits with which the random slice has a say."
    )
    random_confirmed: int = Field(5, ge=1, description="Fewest confirmed ones among them.")
    random_margin: Share = Field(
        0.1,
        description="On the random slice the lower bound of the lead in average precision must not be further below 0 than this.",
    )


class MonitorSettings(_Section):
    """``[monitor]``: when `fraud monitor` says watch or act (docs/monitor.md)."""

    maturity_months: int = Field(
        3,
        ge=0,
        description="Months after which most decisions about a list are in; younger lists are shown, and left out where months are compared.",
    )
    recent_months: int = Field(
        3, ge=1, description="Latest months that are compared with those before, and looked at for drift."
    )
    decided: int = Field(
        20,
        ge=2,
        description="Fewest decided suspicions that a hit rate, probabilities and money are judged by; half of it per side where months or models are compared.",
    )
    hit_rate: Share = Field(
        0.2,
        description="Share of the decided suspicions to be confirmed: watch below it, act where the whole 95 % interval is below.",
    )
    hit_rate_drop: Share = Field(
        0.1,
        description="Watch where the latest matured months hit surely less than those before, act where surely by more than this.",
    )
    ranking_decided: int = Field(
        100,
        ge=10,
        description="Fewest decisions about the months as published by which ranking is judged; with fewer, the back-test is.",
    )
    ranking_confirmed: int = Field(20, ge=3, description="Fewest confirmed ones among them.")
    promise_drop: Share = Field(
        0.05,
        description="Watch where the AUC that came is surely below the one promised at training, act where surely by more than this.",
    )
    calibration_ratio: float = Field(
        2.0,
        gt=1,
        description="Act where surely fewer than this part of the suspicions to be confirmed were; watch wherever the interval misses the stated share.",
    )
    recovery_ratio: float = Field(
        2.0,
        gt=1,
        description="Act where surely less than this part of the expected money was recovered; watch where surely less than expected.",
    )
    age_months: int = Field(6, ge=1, description="Watch a model trained so many months ago.")
    newer_share: Share = Field(
        0.3, description="Watch where this share of all known decisions came after the training."
    )
    random_width: Share = Field(
        0.3,
        description="More random audits are advised where the 95 % interval of the share of all fraud found is wider.",
    )
    rule_decided: int = Field(10, ge=1, description="Fewest decided hits that a rule is judged by.")
    rule_hit_rate: Share = Field(
        0.2,
        description="A rule is to be reviewed where the whole 95 % interval of its share confirmed is below this.",
    )
    learning_confirmed: int = Field(
        100, ge=1, description="Places for learning are advised below so many known confirmed subjects."
    )


class TrackingSettings(_Section):
    """``[tracking]``: MLflow."""

    uri: str = Field(
        "", description="MLflow tracking URI; empty for the SQLite store under the model folder."
    )
    experiment: str = Field("fraud", description="MLflow experiment for training runs.")
    models: str = Field("models", description="Model store folder.")


class RuleSettings(_Section):
    """``[rules]``: rules and knowledge."""

    folder: str = Field(
        "",
        description="Your own folder of rules (*.toml), knowledge/*.csv and snoozes.csv; a record with a built-in code, or a row with a built-in id, takes its place.",
    )
    proven_precision: Share = Field(
        0.8,
        description="A rule puts claims on the list by itself once audits confirm at least this share of its hits (lower bound of the 95 % Wilson interval).",
    )
    history_index: bool = Field(
        True,
        description="Whether scoring writes the index of recent history that prescriptions are checked with (history.sqlite beside the run folders).",
    )


class RingSettings(_Section):
    """``[rings]``: collusion rings."""

    history_months: int = Field(
        12, ge=1, description="Months of claims, the scored one included, in which rings are looked for."
    )
    max_q: Share = Field(
        0.1, description="Rings with a larger false-discovery rate (q value) are not reported."
    )
    min_members: int = Field(4, ge=3, description="Fewest members of a ring.")
    membership: Share = Field(0.3, description="Fewest membership score of a member.")
    models: str = Field(
        "",
        description="Folder of ring models (see experiments/rings/train.py); empty for those of the package.",
    )


class ServiceSettings(_Section):
    """``[service]``: prescriptions checked over HTTP."""

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; by default only this machine. Put a gateway with TLS and access control before any other.",
    )
    port: int = Field(8731, ge=0, le=65535, description="Port; 0 for any free one.")
    history: str = Field(
        "runs/history.sqlite",
        description="History index that scoring writes; none is used while it is absent.",
    )
    reactions: str = Field("runs/reactions.sqlite", description="Log of the doctors' reactions.")
    reload_seconds: float = Field(
        2.0, ge=0, description="How often the files of rules and history are looked at; 0 for never."
    )


class WorkbenchSettings(_Section):
    """``[workbench]``: the auditors' web pages."""

    database: str = Field(
        "runs/workbench.sqlite",
        description="SQLite file, or postgresql://user@host:port/name (password from PGPASSWORD).",
    )
    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; by default only this machine. Put a gateway with TLS before any other.",
    )
    port: int = Field(8732, ge=0, le=65535, description="Port; 0 for any free one.")
    https: bool = Field(
        False, description="Whether browsers reach it by HTTPS; cookies are then sent over HTTPS only."
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"), description="Host names browsers may reach it by."
    )
    session_minutes: int = Field(30, ge=1, description="Idle minutes after which a session ends.")
    session_hours: int = Field(
        12, ge=1, le=168, description="Hours after which a session ends however busy it is."
    )
    lock_after: int = Field(5, ge=1, description="Failed sign-ins after which a name is locked.")
    lock_minutes: int = Field(15, ge=1, description="Minutes a name stays locked.")
    workers: int = Field(
        1, ge=1, le=64, description="Processes that answer; one per core for a whole office, with PostgreSQL."
    )
    page_rows: int = Field(50, ge=10, le=200, description="Cases on a page of the list.")
    random_share: Share = Field(
        0.0,
        description="Claims drawn at random per case of the list when a run is published, so that models can be judged without selection bias; the head of the office may choose another share in the pages.",
    )
    time_zone: str = Field("Asia/Shanghai", description="Time zone of what is shown and exported.")
    language: Literal["zh-hans", "en", "browser"] = Field(
        "zh-hans",
        description="Language of the pages until a reader chooses one: zh-hans, en, or browser (what the browser prefers of the two).",
    )
    sign_in: Literal["password", "ldap", "oidc"] = Field(
        "password",
        description="How people sign in: password (local accounts), or ldap (fraud[ldap]) or oidc (fraud[oidc]) beside local accounts.",
    )
    ldap_url: str = Field(
        "",
        description="Directory, such as ldaps://ldap.example:636; password of the bind account from FRAUD_WORKBENCH_LDAP_PASSWORD.",
    )
    ldap_start_tls: bool = Field(
        True,
        description="Whether a connection by ldap:// is turned into TLS; without either, passwords are refused.",
    )
    ldap_bind_dn: str = Field("", description="Account that looks people up; empty for none.")
    ldap_people: str = Field(
        "", description="Where people are looked for, such as ou=people,dc=example,dc=org."
    )
    ldap_filter: str = Field(
        "(uid=%(user)s)", description="Filter that finds a person by the name signed in with."
    )
    ldap_groups: str = Field(
        "", description="Where groups are looked for; a group (groupOfNames) named as a role gives the role."
    )
    oidc_client: str = Field(
        "", description="Client id at the identity provider; its secret from FRAUD_WORKBENCH_OIDC_SECRET."
    )
    oidc_authorization_url: str = Field("", description="Provider's authorization endpoint.")
    oidc_token_url: str = Field("", description="Provider's token endpoint.")
    oidc_user_url: str = Field("", description="Provider's user-info endpoint.")
    oidc_keys_url: str = Field("", description="Provider's JSON Web Key Set.")
    oidc_name_claim: str = Field("preferred_username", description="Claim that holds the account's name.")
    oidc_roles_claim: str = Field(
        "roles", description="Claim that lists roles by their codes; others are ignored."
    )
    attachments: str = Field(
        "runs/workbench.files",
        description="Folder of the files attached to cases; back it up with the database.",
    )
    attachment_mb: int = Field(20, ge=1, le=500, description="Largest attachment, in megabytes.")
    holidays: str = Field(
        "",
        description="CSV of days off and of worked weekend days (date, kind, name, source) in place of China's public holidays.",
    )
    deadlines: dict[str, int] = Field(
        {},
        description="Working days a case may stay in a state, over the ones in the code, such as { sent = 15 }; 0 for no limit.",
    )


class Settings(_Section):
    """All of ``fraud.toml``; every section and field has a default."""

    engine: EngineSettings = Field(default_factory=EngineSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    drift: DriftSettings = Field(default_factory=DriftSettings)
    list: ListSettings = Field(default_factory=ListSettings)
    rules: RuleSettings = Field(default_factory=RuleSettings)
    rings: RingSettings = Field(default_factory=RingSettings)
    service: ServiceSettings = Field(default_factory=ServiceSettings)
    novelty: NoveltySettings = Field(default_factory=NoveltySettings)
    promotion: PromotionSettings = Field(default_factory=PromotionSettings)
    monitor: MonitorSettings = Field(default_factory=MonitorSettings)
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)
    workbench: WorkbenchSettings = Field(default_factory=WorkbenchSettings)

    def recorded(self) -> dict[str, Any]:
        """What a run's facts keep of them: not what answers never depend on.

        ``[engine.spark]`` stays out also because Spark's entries may hold secrets.
        """
        left_out: Any = {
            "engine": {"threads", "spill", "feature_store", "spark"},
            "tracking": True,
            "promotion": True,
            "monitor": True,
        }
        return self.model_dump(exclude=left_out)


class ForestSettings(_Section):
    """``[forest]``: isolation forest."""

    trees: int = Field(100, ge=10, description="Trees.")
    sample: int = Field(
        512,
        ge=16,
        description="Rows each tree sees (on synthetic claims 512 and 1024 measured better than 256; the cost of reasons grows with it).",
    )
    fit_rows: int = Field(100_000, ge=100, description="Rows drawn to fit on.")
    own_features: bool = Field(
        True,
        description="Look at the target's own features only: a claim is odd by itself, not by its doctor's or institution's month.",
    )
    directional: bool = Field(
        True, description="Keep only deviations in the suspicious direction the catalog gives a feature."
    )
    clip: float = Field(
        10.0, gt=0, description="Largest deviation from the median kept, in interquartile ranges."
    )


class BoostingSettings(_Section):
    """``[boosting]``: LightGBM."""

    trees: int = Field(
        300, ge=10, description="Most trees; early stopping on the latest slice may take fewer."
    )
    fewest_trees: int = Field(
        250,
        ge=1,
        description="Early stopping takes no fewer (log-loss of a few hundred audits stops earlier than the order of claims improves); at most `trees`.",
    )
    leaves: int = Field(31, ge=2, description="Leaves per tree; fewer are used below 500 confirmed labels.")
    depth: int = Field(16, ge=1, description="Depth per tree.")
    rate: float = Field(0.05, gt=0, le=1, description="Learning rate.")
    min_leaf: int = Field(20, ge=1, description="Fewest rows in a leaf.")
    columns: Share = Field(0.3, description="Share of features each tree sees.")
    rows: Share = Field(1.0, description="Share of rows each tree sees.")
    l2: float = Field(0.0, ge=0, description="L2 regularisation of leaf values.")
    bags: int = Field(5, ge=1, description="Models on resampled rows; scores and reasons are their mean.")
    resample: Share = Field(
        0.95,
        description="Share of each class's rows a resample draws, without replacement (drawing all with replacement was measured worse).",
    )
    min_positives: int = Field(
        20,
        ge=1,
        description="Fewest confirmed labels to train on; below it the anomaly score carries the list.",
    )


class SelfTrainingSettings(_Section):
    """``[self_training]``: what unaudited claims add to the supervised model (claim targets only)."""

    background: float = Field(
        3.0,
        ge=0,
        description="Unaudited claims used as weak negatives, as a multiple of the audited ones; 0 for none.",
    )
    background_weight: Share = Field(
        0.05, description="Weight of a weak negative; an audited claim weighs 1."
    )
    share: Share = Field(
        0.007,
        description="Share of unaudited claims, the highest-scored, that a second model takes as weak positives; 0 for no second model.",
    )
    weight: Share = Field(0.3, description="Weight of a weak positive.")


class Experiment(_Section):
    """One ``experiments/NAME.toml``: what is trained, on what, how."""

    name: str = Field("default", description="Name of the experiment and of the registered model.")
    target: Target = Field(
        "claim", description="What a label is about, and what the supervised model scores."
    )
    window_months: int = Field(
        1, ge=1, description="Months a subject may have been active in to be scored; 1 scores the month."
    )
    train_months: int = Field(12, ge=1, description="Months before `--until` (inclusive) that training uses.")
    maturity_months: int = Field(
        0,
        ge=0,
        description="Latest months left out of training because most of their audits are not decided yet.",
    )
    seed: int = Field(7, description="Seed of everything random.")
    include: tuple[str, ...] = Field((), description="Features to use, by name; empty for the whole catalog.")
    exclude: tuple[str, ...] = Field((), description="Features to leave out, by name.")
    anomaly_weight: Share = Field(
        0.1, description="Weight of the label-free percentile in the log-odds blend of scores."
    )
    second_stage: bool = Field(
        False,
        description="Add what the first stage says of the other claims of the same patient, doctor, department and institution. Off: beside entity features and self-training it was measured to hurt (docs/decisions.md).",
    )
    ring_evidence: bool = Field(
        False,
        description="Give claims how suspected the patient's ties were before their month (ring models, no decisions; one to three months old). Costs a look for rings per quarter of training.",
    )
    folds: int = Field(5, ge=2, description="Folds of the out-of-fold predictions.")
    fold_group: Literal["claim", "patient", "doctor", "institution"] = Field(
        "doctor", description="Whose claims never stand on both sides of a fold."
    )
    context_months: int = Field(
        3,
        ge=1,
        description="Months, the scored one included, whose claims the second stage looks at; the frame given to scoring must hold them.",
    )
    forest: ForestSettings = Field(default_factory=ForestSettings)
    boosting: BoostingSettings = Field(default_factory=BoostingSettings)
    self_training: SelfTrainingSettings = Field(default_factory=SelfTrainingSettings)


def _load(model: type[BaseModel], path: Path) -> BaseModel:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such settings file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}.") from None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UsageError(
            [f"{path}: [{'.'.join(str(p) for p in e['loc'])}] {e['msg']}." for e in error.errors()]
        ) from None


def load_settings(path: Path | None) -> Settings:
    """Read ``fraud.toml``.

    Parameters
    ----------
    path : Path or None
        The file; None for the defaults.

    Raises
    ------
    UsageError
        The file is absent, not TOML, or has unknown or ill-typed settings (all named).
    """
    return Settings() if path is None else _load(Settings, path)  # type: ignore[return-value]


def load_experiment(path: Path | None) -> Experiment:
    """Read an experiment file; see `load_settings`. The name defaults to the file's."""
    if path is None:
        return Experiment()
    experiment = _load(Experiment, path)
    if "name" not in experiment.model_fields_set:
        experiment = experiment.model_copy(update={"name": path.stem})
    return experiment  # type: ignore[return-value]
