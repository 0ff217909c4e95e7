"""The HTTP application: checks, reactions, health and reload."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any

from fastapi import FastAPI, Request, Response

from fraud import __version__
from fraud.errors import DataError, UsageError
from fraud.rules.answer import Answer
from fraud.rules.prescription import check_prescription, keyed
from fraud.rules.reactions import Reaction, ReactionStore
from fraud.rules.request import parse
from fraud.service import described
from fraud.service.body import Refused, read_json
from fraud.service.current import Current
from fraud.service.loading import STAGES
from fraud.service.requests import ReactionIn, parse_reactions

LOG = logging.getLogger("fraud.service")
REMEMBERED = 100_000
"""Results whose encounter and doctor are remembered, so that a reaction need not repeat them."""
COUNTED = ("checked", "with_history", "hits", "reactions")
_EPOCH = datetime(1970, 1, 1)
Handler = Callable[["Service", Request], Awaitable[Response]]


@dataclass(slots=True)
class Service:
    """Everything the routes share.

    Attributes
    ----------
    current : Current
    reactions : ReactionStore
    key : bytes or None
        Key of the dataset's pseudonyms.
    reload_seconds : float
        How often the rules' and the index's files are looked at; 0 for never.
    """

    current: Current
    reactions: ReactionStore
    key: bytes | None = None
    reload_seconds: float = 2.0
    results: OrderedDict[str, tuple[str, str]] = field(default_factory=OrderedDict)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    reloading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def check(self, body: Any, stage: str) -> list[Answer]:
        """Check every prescription of a request with what is in use now."""
        loaded = self.current.loaded
        answers = []
        for request in parse(body):
            answer = check_prescription(request, loaded.screens[stage], loaded.index, self.key)
            self._remember(answer, request.encounter.encounter_id, request.encounter.doctor_id)
            answers.append(answer)
        return answers

    def _remember(self, answer: Answer, encounter_id: str, doctor_id: str) -> None:
        self.counts["checked"] += 1
        self.counts["with_history"] += answer.history_claims > 0
        self.counts["hits"] += len(answer.hits)
        for hit in answer.hits:
            self.results[hit.result_id] = (encounter_id, doctor_id)
            self.results.move_to_end(hit.result_id)
        while len(self.results) > REMEMBERED:
            self.results.popitem(last=False)

    def reaction(self, told: ReactionIn) -> Reaction:
        """A reaction as it is stored: ids as the dataset has them."""
        encounter, doctor = self.results.get(told.result_id, ("", ""))
        return Reaction(
            told.result_id,
            told.rule,
            keyed(told.encounter_id or encounter, "visit", self.key) or "",
            told.way,
            told.reason,
            keyed(told.doctor_id or doctor, "doctor", self.key) or "",
            "" if told.at is None else str(_EPOCH + timedelta(seconds=told.at.second)),
            datetime.now().isoformat(" ", "seconds"),
        )

    async def reload(self) -> bool:
        """Reload in a thread, one at a time; requests go on."""
        async with self.reloading:
            return await asyncio.to_thread(self.current.reload)

    async def watch(self) -> None:
        """Look at the files every few seconds, and reload when one is another."""
        while True:
            await asyncio.sleep(self.reload_seconds)
            try:
                if await asyncio.to_thread(self.current.changed):
                    await self.reload()
            except OSError as error:
                LOG.error("Rules cannot be looked at: %s", error.strerror)


def create_app(service: Service) -> FastAPI:
    """The application around a service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(service.watch()) if service.reload_seconds > 0 else None
        yield
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        service.reactions.close()

    # Pages of documentation would load scripts from elsewhere; the document itself is enough.
    app = FastAPI(
        title=described.TITLE, version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.openapi = partial(described.openapi, app)  # type: ignore[method-assign]
    for path, method, handler, national in ROUTES:
        route = _route(service, handler, national)
        app.add_api_route(
            path, route, methods=[method], name=handler.__name__.strip("_"), **described.ROUTES[path]
        )
    return app


def _route(service: Service, handler: Handler, national: bool) -> Callable[[Request], Awaitable[Response]]:
    """A route that turns every failure into an answer without a value of the request."""

    async def route(request: Request) -> Response:
        try:
            return await handler(service, request)
        except Refused as error:
            return _refusal(error.status, error.problems, national)
        except UsageError as error:
            return _refusal(422, error.problems, national)
        except DataError as error:
            LOG.error("%s", error)
            return _refusal(503, error.problems, national)
        except Exception as error:
            place = extract_tb(error.__traceback__)[-1]
            LOG.error("internal: %s in %s:%s", type(error).__name__, Path(place.filename).name, place.lineno)
            return _refusal(500, ("internal error; the log says where.",), national)

    return route


def _refusal(status: int, problems: tuple[str, ...], national: bool) -> Response:
    told: dict[str, Any] = {"problems": list(problems)}
    if national:
        told = {"infcode": -1, "err_msg": "; ".join(problems)[:500], **told}
    return _json(told, status)


def _json(content: Any, status: int = 200) -> Response:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


def _stage(request: Request) -> str:
    stage = request.query_params.get("stage", "during")
    if stage not in STAGES:
        raise Refused(422, f"stage: is none of {', '.join(STAGES)}.")
    return stage


async def _check(service: Service, request: Request) -> Response:
    stage, body = _stage(request), await read_json(request)
    answers = service.check(body, stage)
    if len(answers) == 1:
        return Response(answers[0].model_dump_json(), media_type="application/json")
    return _json([a.model_dump() for a in answers])


async def _check_national(service: Service, request: Request, stage: str) -> Response:
    answers = service.check(await read_json(request), stage)
    result = [row for a in answers for row in a.answer_3101()]
    return _json({"infcode": 0, "err_msg": "", "output": {"result": result}})


async def _check_3101(service: Service, request: Request) -> Response:
    return await _check_national(service, request, "before")


async def _check_3102(service: Service, request: Request) -> Response:
    return await _check_national(service, request, "during")


async def _record(service: Service, request: Request) -> int:
    rows = [service.reaction(r) for r in parse_reactions(await read_json(request))]
    # Once begun it is finished, even when the caller goes away: half a record is none.
    await asyncio.shield(asyncio.to_thread(service.reactions.record, rows))
    service.counts["reactions"] += len(rows)
    return len(rows)


async def _reaction(service: Service, request: Request) -> Response:
    return _json({"recorded": await _record(service, request)})


async def _reaction_3103(service: Service, request: Request) -> Response:
    return _json({"infcode": 0, "err_msg": "", "output": {"recorded": await _record(service, request)}})


def _health_of(service: Service) -> dict[str, Any]:
    current = service.current
    return {
        "status": "old rules" if current.error else "ok",
        **current.loaded.versions,
        "reloads": current.reloads,
        "reload_error": list(current.error),
        "pseudonyms": "as given" if service.key is None else "keyed",
        "counts": service.counts,
    }


async def _health(service: Service, request: Request) -> Response:
    return _json(_health_of(service))


async def _reload(service: Service, request: Request) -> Response:
    taken = await service.reload()
    return _json(_health_of(service), 200 if taken else 409)


ROUTES: tuple[tuple[str, str, Handler, bool], ...] = (
    ("/check", "POST", _check, False),
    ("/fsi/3101", "POST", _check_3101, True),
    ("/fsi/3102", "POST", _check_3102, True),
    ("/reaction", "POST", _reaction, False),
    ("/fsi/3103", "POST", _reaction_3103, True),
    ("/health", "GET", _health, False),
    ("/reload", "POST", _reload, False),
)
"""Path, method, handler, and whether refusals have the national form; described in `described.ROUTES`."""
