"""An example plugin: every event of a call becomes a JSON POST, with the caller's number in the
form that this CRM wants. Calls of internal numbers are skipped.

`wit_world` is made of the WIT when the plugin is built; `componentize-py -d wit -w plugin
bindings .` writes it here for your editor.
"""

import json
import re
from dataclasses import replace

from wit_world import exports
from wit_world.exports.about import Description, Problem, Setting
from wit_world.exports.transform import Outcome, Outcome_Send, Outcome_Skip
from wit_world.imports import settings
from wit_world.imports.types import (
    CallEvent,
    Direction,
    EventKind_Ended,
    EventKind_Ringing,
    EventKind_Started,
    Header,
    HttpRequest,
)


class About(exports.About):
    def describe(self) -> Description:
        return Description(
            name="example-python",
            version="0.1.0",
            summary="Sends every event as a JSON POST",
            settings=[
                Setting(
                    name="source",
                    help="what the CRM shows as the origin",
                    default="callhook",
                    required=False,
                    secret=False,
                )
            ],
        )

    def check(self) -> list[Problem]:
        source = settings.get("source")
        if not source:
            return [Problem("source", "it must not be empty")]
        if not re.fullmatch("[ -~]*", source):
            message = "it must be plain ASCII, because it is sent as a header"
            return [Problem("source", message)]
        return []


class Transform(exports.Transform):
    def transform(self, event: CallEvent, draft: HttpRequest) -> Outcome:
        number = digits(event.caller_id)
        if event.direction == Direction.INTERNAL or 1 <= len(number) <= 5:
            return Outcome_Skip("an internal number")
        match event.kind:
            case EventKind_Ringing():
                kind, answered = "ringing", False
            case EventKind_Started():
                kind, answered = "answered", True
            case EventKind_Ended(ended):
                kind, answered = "ended", ended.talk_ms is not None
            case _:
                return Outcome_Skip("not of interest")

        body = {
            "call": event.id,
            "event": kind,
            "direction": event.direction.name.lower(),
            "number": "+" + number if number else None,  # withheld
            "name": event.caller_name,
            "extension": event.user.number,
            "answered": answered,
            "at": event.occurred_at.text,
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        request = replace(
            draft,
            method="POST",
            headers=[
                Header("content-type", "application/json"),
                Header("x-source", settings.get("source") or ""),
            ],
            body=text.encode(),
        )
        return Outcome_Send([request])


def digits(number: str) -> str:
    """The digits of a number, without the `00` of an international call."""
    return re.sub("[^0-9]", "", number).removeprefix("00")
